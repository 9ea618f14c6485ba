"""From a name to a filler that runs: weights checked, device and precision chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor

from tween.core import Filler, TweenError
from tween.zoo.registry import ZOO, Entry, fillers
from tween.zoo.selfcheck import quickest
from tween.zoo.shards import digest, parts

Precision = Literal["auto", "fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WEIGHTS = Path(__file__).parent / "weights"


def load(
    name: str, *, device: str = "auto", precision: Precision = "auto", scale: float = 1.0
) -> Filler[Any]:
    """The filler called `name`.

    Args:
        device: `auto` (CUDA where there is one, else the CPU), or any name PyTorch takes, such as `cuda:1`.
        precision: `auto` is what the entry names, else fp16 on CUDA; on a CPU it is bf16 where a short measurement at
            load finds it quicker than fp32 and as good, else fp32.
        scale: fraction of the frame's size at which motion is estimated; below 1 for large motion and large frames.

    Raises:
        TweenError: unknown name, device or precision; a weight file that is missing or not the released one.
    """
    entry = _find(name)
    where = place(device)
    _check(name, entry, precision, scale)
    if entry.file is None:
        return entry.build({}, where, torch.float32, 1.0)
    weights = released(name)
    chosen = entry.auto if precision == "auto" else DTYPES[precision]
    if chosen is not None:
        return entry.build(weights, where, chosen, scale)
    if where.type != "cpu":
        return entry.build(weights, where, torch.float16 if where.type == "cuda" else torch.float32, scale)
    return quickest(lambda dtype: entry.build(weights, where, dtype, scale))


def seeing(filler: Filler[Any], frames: int | None) -> Filler[Any]:
    """`filler` shown `frames` known frames around every gap; None: as many as it sees by itself.

    Raises:
        TweenError: if it takes another number.
    """
    own = filler.past + filler.future
    if frames is None or frames == own:
        return filler
    if not hasattr(filler, "seeing"):
        raise TweenError(
            f"this model sees {own} frames, but --frames {frames} was asked for; leave it out, or use splat"
        )
    return filler.seeing(frames)


def released(name: str) -> dict[str, Tensor]:
    """The tensors of the network called `name`, checked, to train on from.

    Raises:
        TweenError: unknown name, no weights, or not the released ones.
    """
    entry = _find(name)
    if entry.file is None:
        raise TweenError(f"{name} has no weights to begin from; choose a network of `tween models`")
    return read(WEIGHTS / entry.file, entry.sha256)


def read(path: Path, sha256: str | None) -> dict[str, Tensor]:
    """The tensors of the weights `path`, in one file or in shards, whose SHA-256 must be `sha256`."""
    tensors: dict[str, Tensor] = {}
    for part in checked(path, sha256):
        tensors |= load_file(part)
    return tensors


def checked(path: Path, sha256: str | None) -> list[Path]:
    """The files of the weights `path`, whose SHA-256 must be `sha256`.

    Raises:
        TweenError: if one is missing, or they are others.
    """
    found = digest(path)
    if found != sha256:
        raise TweenError(
            f"the weights {path} should have the SHA-256 {sha256}, but have {found}; reinstall tween-video"
        )
    return parts(path)


def _find(name: str) -> Entry:
    entry, known = ZOO.get(name), ", ".join(fillers())
    if entry is None:
        raise TweenError(f"there is no model {name!r}; choose one of {known}")
    if entry.kind != "interp":
        raise TweenError(
            f"{name} is a {entry.kind}, which fills nothing between frames; choose one of {known}"
        )
    return entry


def place(name: str) -> torch.device:
    """The device called `name`; `auto` is CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        reason = str(e).splitlines()[0]
        raise TweenError(f"the device {name!r} cannot be used here ({reason}); try --device cpu") from None


def _check(name: str, entry: Entry, precision: str, scale: float) -> None:
    if precision != "auto" and precision not in DTYPES:
        raise TweenError(f"precision should be auto, fp32, bf16 or fp16, but got {precision!r}")
    if not 0 < scale <= 1:
        raise TweenError(f"scale should be above 0 and at most 1, but got {scale}")
    if entry.file is None and (precision not in ("auto", "fp32") or scale != 1):
        raise TweenError(f"{name} always runs in fp32 at full size; leave out the precision and the scale")
