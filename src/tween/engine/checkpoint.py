"""Checkpoints: one safetensors file, plain tensors and a JSON header, nothing that runs when it is read.

    full   weights, moments, average, step: resumed as if never stopped
    lean   weights (the average where there is one) and step, in half precision: resumed with fresh moments

Random numbers need no place in it: the loop seeds them from the step. Nor does the number of processes: the first one
writes every tensor whole, so a run goes on with more processes or fewer, replicas or shards.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW

from tween.core import TweenError
from tween.engine import ema as averages
from tween.engine.distributed import Loss, put, whole

FORMAT = 1  # of the file; counts up when a checkpoint of before could be misread
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter; Muon the first two


@dataclass(kw_only=True)
class State:
    """All that a run remembers between two steps.

    Attributes:
        loss: the task's, as the processes share it.
        optimizers: one for each turn.
        ema: empty when the run keeps none.
        step: steps done.
        fresh: step at which the moments were last empty.
        best: greatest value of the run's best key.
        owed: whether the step that was done last is still to be validated.
    """

    modules: nn.ModuleDict
    loss: Loss
    optimizers: dict[str, AdamW]
    ema: dict[str, Tensor]
    step: int = 0
    fresh: int = 0
    best: float = -math.inf
    owed: bool = False


def write(path: Path, values: dict[str, Tensor], head: dict[str, Any]) -> None:
    """One file, there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    plain = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in values.items()}
    try:
        save_file(plain, part, {"tween": json.dumps({"format": FORMAT} | head)})
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise TweenError(
            f"could not write the checkpoint {path} ({error}); free some space and resume"
        ) from error


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and header of a checkpoint.

    Raises:
        TweenError: if there is no such file or it is not one of ours.
    """
    head = _head(path)
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, head  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise TweenError(f"expected a checkpoint at {path}, but could not read one ({error})") from error


def header(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself, without its tensors.

    Raises:
        TweenError: if there is no such file, it is not one of ours, or a later tween wrote it in another form.
    """
    head = _head(path)
    if "config" not in head:  # tensors alone, or a batch that was saved
        what = f"is a {head['kind']}" if "kind" in head else "is none of tween's"
        raise TweenError(
            f"expected a checkpoint at {path}, but it {what}; name last.safetensors or best.safetensors of a run"
        )
    return head


def _head(path: Path) -> dict[str, Any]:
    """What a file of tensors says of itself, be it a checkpoint or a batch that was saved."""
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {}).get("tween", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise TweenError(f"expected a checkpoint at {path}, but could not read one ({error})") from error
    if head.get("format", FORMAT) != FORMAT:
        raise TweenError(
            f"expected a checkpoint of format {FORMAT} at {path}, but it is of format {head['format']}; "
            "read it with the version of tween that wrote it"
        )
    return head


def save(path: Path, state: State, config: dict[str, Any]) -> None:
    """A full checkpoint of `state`. All processes call it, the first one writes."""
    values = {f"weights/{name}": value for name, value in averages.tensors(state.modules).items()}
    values |= {f"ema/{name}": value for name, value in state.ema.items()}
    values |= _moments(state)
    best = state.best if math.isfinite(state.best) else None
    where = {"step": state.step, "fresh": state.fresh, "best": best, "owed": state.owed}
    head = {"kind": "full", **where, "config": config}
    _write_whole(path, values, head, state)


def save_weights(path: Path, state: State, config: dict[str, Any]) -> None:
    """The weights alone in full precision, averaged where there is an average. All processes call it."""
    kept = state.ema or averages.tensors(state.modules)
    values = {f"weights/{name}": value for name, value in kept.items()}
    _write_whole(path, values, {"kind": "lean", "step": state.step, "config": config}, state)


def _write_whole(path: Path, values: dict[str, Tensor], head: dict[str, Any], state: State) -> None:
    """Put shards together, one tensor at a time, on the first process's CPU, and write them there."""
    writes = state.loss.ranks.rank == 0
    if state.loss.sharded:
        put_together = ((name, whole(value)) for name, value in values.items())
        values = {name: value.to("cpu", copy=True) for name, value in put_together if writes}
    if writes:
        write(path, values, head)


def lean(source: Path, target: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write the lean form of the checkpoint `source`, as small as a released weight, to `target`."""
    values, head = read(source)
    kept = part(values, "ema/") or part(values, "weights/")
    small = {f"weights/{k}": v.to(dtype) if v.is_floating_point() else v for k, v in kept.items()}
    write(target, small, {"kind": "lean", "step": head["step"], "config": head["config"]})


def weights(path: Path) -> dict[str, Tensor]:
    """A checkpoint's weights, averaged where there is an average, in float32 and named as in `state_dict`."""
    header(path)  # a batch that was saved, or tensors from elsewhere, have none
    values, _ = read(path)
    kept = part(values, "ema/") or part(values, "weights/")
    return {name: v.float() if v.is_floating_point() else v for name, v in kept.items()}


def load(path: Path, state: State) -> None:
    """Fill `state` from a full or a lean checkpoint.

    Raises:
        TweenError: if the file is no checkpoint or belongs to another network.
    """
    values, head = read(path)[0], header(path)
    _check(path, part(values, "weights/"), averages.tensors(state.modules))
    averages.write(part(values, "weights/"), state.modules)
    state.step = head["step"]
    average = part(values, "ema/") or part(values, "weights/")
    for name, value in state.ema.items():
        put(value, average[name])
    if head["kind"] == "full":
        state.fresh, state.best = head["fresh"], -math.inf if head["best"] is None else head["best"]
        state.owed = head.get("owed", False)
        _load_moments(state, values)
    else:
        state.fresh = state.step


def part(values: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def _check(path: Path, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    wrong = [k for k in wanted.keys() | found.keys() if k not in wanted or k not in found]
    wrong += [k for k in wanted.keys() & found.keys() if wanted[k].shape != found[k].shape]
    if wrong:
        raise TweenError(
            f"{path} belongs to another network ({len(wrong)} tensors differ, one is {min(wrong)}); "
            f"use its own recipe or another folder"
        )


def _names(state: State) -> dict[Tensor, str]:
    return {p: name.replace("_orig_mod.", "") for name, p in state.modules.named_parameters()}


def _moments(state: State) -> dict[str, Tensor]:
    names = _names(state)
    return {
        f"optim/{turn}/{names[p]}/{key}": value
        for turn, optimizer in state.optimizers.items()
        for p, kept in optimizer.state.items()
        for key, value in kept.items()
    }


def _load_moments(state: State, values: dict[str, Tensor]) -> None:
    names = _names(state)
    for turn, optimizer in state.optimizers.items():
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            keys = {key: f"optim/{turn}/{names[p]}/{key}" for key in MOMENTS}
            if keys["step"] in values:
                kept = {key: name for key, name in keys.items() if name in values}
                optimizer.state[p] = {key: _laid_out(key, values[name], p) for key, name in kept.items()}


def _laid_out(key: str, value: Tensor, p: Tensor) -> Tensor:
    """A moment in its parameter's memory format: the fused optimiser pairs elements by their place in memory."""
    return value.to(p.device) if key == "step" else put(torch.empty_like(p, requires_grad=False), value)
