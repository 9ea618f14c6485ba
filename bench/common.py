"""What every suite shares: the machine, and one JSON form."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from tween.evaluate.timing import Timing

RESULTS = Path(__file__).parent / "results"
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


def machine() -> dict[str, Any]:
    """Processor with its vector instructions, cores, GPU, load of the last minute."""
    name, flags = _processor()
    return {
        "cpu": name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [i for i in INSTRUCTIONS if i in flags],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Of Python and the packages that decide speed."""
    packages = ("torch", "numpy", "opencv-python-headless", "av")
    return {"python": platform.python_version(), **{p: version(p) for p in packages if _installed(p)}}


def save(suite: str, rows: Sequence[dict[str, Any]], **facts: Any) -> Path:
    """Write results/SUITE.json: rows, facts, machine, versions, command and commit. Timings become dicts."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{suite}.json"
    record = {
        "suite": suite,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "command": command(),
        "commit": _commit(),
        "machine": machine(),
        "versions": versions(),
        **facts,
        "rows": [{k: asdict(v) if isinstance(v, Timing) else v for k, v in row.items()} for row in rows],
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def command() -> str:
    """How this suite was started; of paths only the last part, which means something elsewhere."""
    module = (sys.modules["__main__"].__spec__ or sys.modules["__main__"]).__dict__.get("name", "bench")
    arguments = [Path(a).name if os.path.isabs(a) or Path(a).exists() else a for a in sys.argv[1:]]
    return " ".join(["python", "-m", module, *arguments])


def load(suite: str) -> dict[str, Any] | None:
    """A suite's last result, None where it was never run."""
    path = RESULTS / f"{suite}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def _processor() -> tuple[str, set[str]]:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine(), set()
    pairs = (line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    fields = {k.strip(): v.strip() for k, v in pairs}
    return fields.get("model name", platform.machine()), set(fields.get("flags", "").split())


def _installed(package: str) -> bool:
    try:
        version(package)
    except ModuleNotFoundError:
        return False
    return True


def _commit() -> str | None:
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or None
