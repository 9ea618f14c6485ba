"""What a run leaves to read: run.json (what it was), log.jsonl (how it went), report.md (both, for people), pictures,
a line on the console."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.engine import report
from tween.engine.run import Run


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: a dataclass becomes a dict, what has no JSON form its type's name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    return getattr(value, "__qualname__", type(value).__qualname__)


def describe(run: Run) -> dict[str, Any]:
    """The run's fields, the task's settings, each module's config where it has one, and what it ran on."""
    config = plain(run) | {
        "task": type(run.task).__qualname__,
        "settings": plain({k: v for k, v in vars(run.task).items() if dataclasses.is_dataclass(v)}),
        "configs": {k: plain(m.config) for k, m in run.task.modules.items() if hasattr(m, "config")},
    }
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    versions = {"python": platform.python_version(), "torch": torch.__version__, "device": device}
    return config | {
        "parameters": sum(p.numel() for p in run.task.modules.parameters()),
        **versions,
        "git": git(),
    }


def git() -> str | None:
    """The commit, with `+` when files differ from it; None outside a repository."""
    return _git("describe", "--always", "--abbrev=40", "--dirty=+")


def branch() -> str | None:
    """The branch; None outside a repository."""
    return _git("rev-parse", "--abbrev-ref", "HEAD")


@cache
def _git(*ask: str) -> str | None:
    try:
        return subprocess.run(["git", *ask], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def tensors(batch: Any, name: str = "batch") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a batch, whatever it is made of, by name."""
    if isinstance(batch, Tensor):
        yield name, batch
        return
    if dataclasses.is_dataclass(batch):
        parts = [(f.name, getattr(batch, f.name)) for f in dataclasses.fields(batch)]
    elif isinstance(batch, dict):
        parts = list(batch.items())
    else:
        parts = list(enumerate(batch)) if isinstance(batch, (list, tuple)) else []
    for key, part in parts:
        yield from tensors(part, f"{name}.{key}")


class Log:
    """Appends to `folder/log.jsonl` from `step` on; what a broken sitting logged beyond it is dropped.

    run.json holds the config and every sitting: when, by which command, at which commit, from which step.
    """

    def __init__(self, run: Run, config: dict[str, Any], step: int):
        run.folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.config = run.folder, config | {"sittings": [*_sittings(run, step), _sitting(step)]}
        (run.folder / "run.json").write_text(json.dumps(self.config, indent=1) + "\n")
        self.name, self.path = run.name, run.folder / "log.jsonl"
        old = self.path.read_text().splitlines() if self.path.exists() else []
        kept = [line for line in old if step and _step(line) <= step]
        self.path.write_text("".join(line + "\n" for line in kept))
        self.board = board(run.folder) if run.tensorboard else None

    def write(self, step: int, values: dict[str, float]) -> None:
        """One line for `step`, here and on the console, which leaves out statistics such as `drift/stage1/v2`."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        shown = "  ".join(f"{k} {v:.4g}" for k, v in values.items() if k.count("/") < 2)
        print(f"{self.name} {step:>7}  {shown}", flush=True)
        for key, value in values.items() if self.board else ():
            self.board.add_scalar(f"loss/{key}" if key.startswith("loss_") else key, value, step)

    def draw(self, step: int, pictures: dict[str, Tensor]) -> None:
        """The latest of each picture (`3 h w` in [0, 1]) as NAME.png, and all of them in TensorBoard."""
        for name, picture in pictures.items():
            levels = (picture.detach().float().clamp(0, 1) * 255).round().byte().cpu()
            _save_png(self.folder / f"{name}.png", levels)
            if self.board:
                self.board.add_image(name, levels, step)

    def report(self, step: int, samples_per_s: float) -> None:
        """Write report.md anew; what was written under its Decision stays.

        TensorBoard's file is brought as far: its writer would keep the last minutes, and lose them when a run ends.
        """
        if self.board:
            self.board.flush()
        logged = [json.loads(line) for line in self.path.read_text().splitlines()]
        report.write(self.folder / "report.md", self.config, logged, step, samples_per_s)


def _save_png(path: Path, levels: Tensor) -> None:
    from PIL import Image

    Image.fromarray(levels.permute(1, 2, 0).numpy()).save(path)


def _sitting(step: int) -> dict[str, Any]:
    began = datetime.now(UTC).isoformat(timespec="seconds")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {"began": began, "step": step, "command": command, "branch": branch(), "git": git()}


def _sittings(run: Run, step: int) -> list[dict[str, Any]]:
    """The sittings that led to `step`."""
    try:
        old = json.loads((run.folder / "run.json").read_text()).get("sittings", [])
    except (OSError, ValueError):
        return []
    return [sitting for sitting in old if sitting["step"] < step]


def _step(line: str) -> float:
    """The step of a logged line; infinity for one that was cut short."""
    try:
        return json.loads(line)["step"]
    except json.JSONDecodeError:
        return math.inf


def board(folder: Path) -> Any:
    """A TensorBoard writer.

    Raises:
        TweenError: if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TweenError("tensorboard=True needs TensorBoard: pip install 'tween-video[train]'") from None
    return SummaryWriter(folder)
