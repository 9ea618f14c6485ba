"""Writes the mean of two networks' weights, tensor by tensor, in half precision (Wortsman et al., Robust fine-tuning of
zero-shot models, CVPR 2022): of a network before and after it was trained on, it keeps more of both than either.

python -m bench.average before.safetensors after.safetensors mean.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import load_file, save_file


def main(argv: list[str] | None = None) -> None:
    """Read the two files named first, write the third."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("before", "after", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(argv)
    before, after = load_file(options.before), load_file(options.after)
    if before.keys() != after.keys():
        parser.error(
            f"the weights should be of one network, but {before.keys() ^ after.keys()} are in one file only"
        )
    mean = {name: before[name].float().lerp(after[name].float(), 0.5).half() for name in before}
    save_file(mean, options.out)


if __name__ == "__main__":
    main()
