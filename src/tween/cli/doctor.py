"""`tween doctor`: what this machine can do, and one line on how to mend what it cannot."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tyro

from tween.core import TweenError

NEEDED = (
    "torch",
    "numpy",
    "av",
    "opencv-python-headless",
    "scenedetect-headless",
    "rich",
    "safetensors",
    "tyro",
)
ROOM = 5 * 2**30  # bytes; a film needs about that


@dataclass(frozen=True)
class Finding:
    """One line of the report; `fix` is empty where nothing is wrong, `fatal` where tween cannot work at all."""

    name: str
    found: str
    fix: str = ""
    fatal: bool = False


@dataclass(frozen=True, kw_only=True)
class Options:
    """What this machine can do, and how to mend what it cannot."""


def main(argv: list[str]) -> int:
    """Exit code 1 if something is missing that tween cannot work without."""
    tyro.cli(Options, args=argv, prog="tween doctor")
    bad = False
    for finding in findings():
        mark = "ok  " if not finding.fix else "FAIL" if finding.fatal else "note"
        print(
            f"{mark} {finding.name:12} {finding.found}"
            + (f"\n     fix: {finding.fix}" if finding.fix else "")
        )
        bad |= finding.fatal and bool(finding.fix)
    return int(bad)


def findings() -> Iterator[Finding]:
    """Everything there is to say, in order."""
    yield Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    missing = [finding for finding in map(_package, NEEDED) if finding.fix]
    yield from missing
    if missing:
        return
    yield from _torch()
    yield from _codecs()
    yield from _disk()
    yield from _weights()


def _package(name: str) -> Finding:
    try:
        return Finding("package", f"{name} {version(name)}")
    except PackageNotFoundError:
        return Finding("package", f"{name} is missing", f"{sys.executable} -m pip install {name}", fatal=True)


def _torch() -> Iterator[Finding]:
    import torch

    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores")
    amx = _cpu_has("amx_bf16")
    bf16 = "AMX" if amx else "AVX-512" if _cpu_has("avx512_bf16") else "none"
    yield Finding("cpu", f"{torch.backends.cpu.get_cpu_capability()}, bf16 by hardware: {bf16}")
    if not torch.cuda.is_available():
        fix = (
            ""
            if torch.backends.mps.is_available()
            else "for a NVIDIA GPU install a CUDA build, see pytorch.org"
        )
        yield Finding("gpu", "MPS" if torch.backends.mps.is_available() else "none; the CPU is used", fix)
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        yield Finding(f"cuda:{index}", f"{gpu.name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")


def _cpu_has(flag: str) -> bool:
    try:
        return flag in Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False


def _codecs() -> Iterator[Finding]:
    from tween.video.codecs import encoders, version

    have = encoders()
    yield Finding("video", version())
    fatal = not have["libx264"]
    missing = [name for name, there in have.items() if not there and "nvenc" not in name]
    fix = "python -m pip install --force-reinstall --only-binary av av" if missing else ""
    yield Finding("encoders", ", ".join(name for name, there in have.items() if there), fix, fatal)


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    fix = "write elsewhere with -o, or make room" if free < ROOM else ""
    yield Finding("disk", f"{free / 2**30:.1f} GiB free here", fix)


def _weights() -> Iterator[Finding]:
    from tween.zoo import ZOO
    from tween.zoo.load import WEIGHTS
    from tween.zoo.shards import digest

    for name, entry in ZOO.items():
        if entry.file is None:
            continue
        path = WEIGHTS / entry.file
        fix = "python -m pip install --force-reinstall tween-video"
        try:
            found = digest(path)
        except TweenError:
            yield Finding("weights", f"{name}: {path} is missing", fix, fatal=True)
            continue
        if found != entry.sha256:
            yield Finding("weights", f"{name}: {path} is not the released file", fix, fatal=True)
        else:
            yield Finding("weights", f"{name}: sha256 {entry.sha256[:12]}... as released")
