"""What a new frame costs on this machine, as in a video: time, memory, operations, parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tween.core import Filler
from tween.evaluate.cost import cost
from tween.evaluate.models import ready
from tween.evaluate.steps import moving, stepper
from tween.evaluate.timing import Timing, interleaved, measure
from tween.infer.memory import budget
from tween.models.interp.config import THESIS, NetConfig
from tween.models.interp.hybrid_filler import HybridFiller
from tween.models.interp.net import HybridNet
from tween.video import minterpolate
from tween.zoo import place
from tween.zoo.load import DTYPES, Precision

FFMPEG = "minterpolate"
LEARNED_NOTHING = ("blend", "dis", FFMPEG)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One method at one size.

    Attributes:
        size: `WIDTHxHEIGHT`.
        ms: a new frame, median; None where it could not run, and `why` says so.
        iqr: of the milliseconds.
        mib: most of the GPU's memory in use; None on a CPU.
        flops: of one further frame and one time between it and the last; None without a network.
        computed_mib: weights and activations by count, for a pair from nothing, without fused kernels.
    """

    model: str
    size: str
    ms: float | None = None
    iqr: float | None = None
    mib: float | None = None
    flops: int | None = None
    computed_mib: float | None = None
    parameters: int = 0
    why: str = ""

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def fillers(
    models: Sequence[str],
    *,
    device: str,
    precision: Precision = "auto",
    scale: float | None = None,
    strides: Sequence[int] = (),
) -> dict[str, Filler[Any] | None]:
    """What is timed, by name; None stands for ffmpeg's filter.

    Args:
        models: as in `tween.evaluate.models.ready`, or `minterpolate`.
        strides: of the stem of `thesis`, instead of the released one each timed by itself, with random weights, which
            take as long.

    Raises:
        TweenError: if there is no such model.
    """
    found: dict[str, Filler[Any] | None] = {}
    for model in models:
        if model == FFMPEG:
            found[model] = None
        elif model == "thesis" and strides:
            for stride in strides:
                config = replace(THESIS, stem_stride=stride)
                found[f"{model}-stride{stride}"] = thesis(config, place(device), precision, scale or 1.0)
        else:
            found[model] = ready(model, device=device, precision=precision, scale=scale)
    return found


def thesis(config: NetConfig, device: torch.device, precision: str, scale: float) -> HybridFiller:
    """With random weights; `auto` is bf16 on a GPU, fp32 on a CPU."""
    auto = torch.bfloat16 if device.type == "cuda" else torch.float32
    return HybridFiller(HybridNet(config).to(device), dtype=DTYPES.get(precision, auto), scale=scale)


def at_size(
    methods: Mapping[str, Filler[Any] | None], size: tuple[int, int], *, device: str, runs: int
) -> list[Speed]:
    """Every method at one size (h, w). On a CPU they take turns; on a GPU one runs after the other, so that each has
    the memory to itself; what has no place in memory is said, with numbers."""
    where = place(device)
    clip = moving(size, count=4)
    rows = {name: counted(name, filler, size) for name, filler in methods.items()}
    steps: dict[str, Callable[[], object]] = {}
    for name, filler in methods.items():
        if filler is None or where.type != "cuda":
            rows[name] = replace(rows[name], why=too_large(rows[name], where))
            if not rows[name].why:
                steps[name] = minterpolate.stepper(clip) if filler is None else stepper(filler, clip)
        else:
            rows[name] = on_gpu(rows[name], filler, clip.to(where), where, runs)
    for name, timing in (interleaved(steps, runs=runs) if steps else {}).items():
        rows[name] = timed(rows[name], timing)
    return list(rows.values())


def counted(name: str, filler: Filler[Any] | None, size: tuple[int, int]) -> Speed:
    """What is known before anything runs. A network at another scale than 1 is not counted; of several (`nets`), the
    last of which holds the others, every call is."""
    row = Speed(model=name, size=f"{size[1]}x{size[0]}")
    net = getattr(filler, "net", None)
    if net is None:
        return row
    row = replace(row, parameters=sum(p.numel() for p in net.parameters()))
    if filler.scale != 1:
        return row
    h, w = (-(-side // filler.multiple) * filler.multiple for side in size)
    image, t = torch.empty(1, 3, h, w, device="meta"), torch.empty(1, device="meta")
    costs = [cost(one, image, image.clone(), t) for one in getattr(filler, "nets", [net])]
    flops, found = sum(sum(one.flops_by_step.values()) for one in costs), costs[-1]
    return replace(row, flops=flops, computed_mib=found.peak_bytes / 2**20)


def timed(row: Speed, timing: Timing) -> Speed:
    """With its time."""
    return replace(row, ms=1e3 * timing.median, iqr=1e3 * timing.iqr)


def too_large(row: Speed, device: torch.device) -> str:
    """Why a network cannot run, by count; empty where it can."""
    free = budget(device)
    if row.computed_mib is None or free is None or row.computed_mib * 2**20 <= free:
        return ""
    return f"needs {row.computed_mib / 1024:.1f} GiB of the {free / 2**30:.1f} that are free"


def on_gpu(row: Speed, filler: Filler[Any], clip: Tensor, device: torch.device, runs: int) -> Speed:
    """Timed by itself."""
    try:
        timing, mib = measure(stepper(filler, clip), runs, str(device))
    except torch.OutOfMemoryError:
        free = torch.cuda.mem_get_info(device)[1] / 2**30
        return replace(
            row, why=f"out of memory on {free:.0f} GiB; by count {(row.computed_mib or 0) / 1024:.1f} GiB"
        )
    return replace(timed(row, timing), mib=mib)
