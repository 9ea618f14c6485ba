"""Every suite this machine can run, then the tables.

python -m bench.run [--clip FILE] [--val DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from bench import cpu_720p, end_to_end, gpu_latency, quality, report


def main() -> None:
    """Run them one after the other: each wants the machine for itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, help="a 1080p video; without it end_to_end is left out")
    parser.add_argument("--val", type=Path, help="a folder of triplets; without it quality is left out")
    arguments = parser.parse_args()
    clip = ["--clip", str(arguments.clip)] if arguments.clip else []
    cpu_720p.main(clip)
    if arguments.clip:
        end_to_end.main(clip)
    if arguments.val:
        quality.main(["--path", str(arguments.val)])
    if torch.cuda.is_available():
        gpu_latency.main([])
    report.main(["README.md"])


if __name__ == "__main__":
    main()
