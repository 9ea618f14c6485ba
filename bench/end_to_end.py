"""A real video through `tween interpolate`, each run in its own process: frames a second and peak memory.

python -m bench.end_to_end --clip FILE [--fps 60] [--seconds 2] [--models fast] [--device auto]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

from bench.common import save
from tween.cli.main import main as tween
from tween.video.read import probe
from tween.zoo import fillers


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/end_to_end.json, or end_to_end_DEVICE.json where a device is named."""
    arguments = parse(argv)
    rows = []
    for model in arguments.models:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append({"method": model, **pool.apply(run, (model, arguments))})
        print(rows[-1], flush=True)
    suite = "end_to_end" if arguments.device == "auto" else f"end_to_end_{arguments.device}"
    save(suite, rows, clip=arguments.clip.name, device=arguments.device, out_fps=arguments.fps)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--fps", default="60")
    parser.add_argument("--seconds", default="2")
    nets = [name for name, entry in fillers().items() if entry.file]
    parser.add_argument("--models", nargs="*", default=["blend", "dis", *nets])
    parser.add_argument("--device", default="auto")
    return parser.parse_args(argv)


def run(model: str, arguments: argparse.Namespace) -> dict[str, object]:
    """One video, in this process; loading the model is part of it, importing torch is not."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        command = ["interpolate", str(arguments.clip), "-o", str(out), "--fps", arguments.fps]
        command += ["--to", arguments.seconds, "--model", model, "--device", arguments.device]
        said = io.StringIO()
        start = time.perf_counter()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = tween(command)
        seconds = time.perf_counter() - start
        if code:
            sys.exit(said.getvalue())
        frames = count(out)
        size = probe(out)
    return {
        "frames": frames,
        "seconds": seconds,
        "fps": frames / seconds,
        "size": f"{size.width}x{size.height}",
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "gpu_mib": torch.cuda.max_memory_reserved() / 2**20 if torch.cuda.is_available() else None,
        "said": said.getvalue().strip().splitlines()[-1].replace(str(out), out.name),
    }


def count(path: Path) -> int:
    """Frames of a video."""
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


if __name__ == "__main__":
    main()
