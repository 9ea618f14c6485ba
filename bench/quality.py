"""How good each method is on a folder of triplets (bench/results uses 30 hard ones of DAVIS, 320x180 to 1280x473).

python -m bench.quality --path DIR [--name davis30] [--models fast]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.common import save
from tween.core import Filler
from tween.data import DATASETS
from tween.evaluate import choose, middle_frames
from tween.video.minterpolate import Minterpolate
from tween.zoo import fillers, load


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/quality_NAME.json."""
    arguments = parse(argv)
    scenes = DATASETS["triplets"].read(arguments.path)
    way = choose("triplets")
    rows = []
    for name, filler in methods(arguments.models).items():
        table = middle_frames(filler, scenes, way)
        print(f"{name}: {table}", flush=True)
        pictures = {row.name: round(row.psnr, 3) for row in table.rows}
        rows.append(
            {"method": name, "psnr": table.psnr, "ssim": table.ssim, "ie": table.ie, "psnr_of": pictures}
        )
    save(f"quality_{arguments.name}", rows, protocol=str(way), pictures=len(scenes))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--name", default="davis30")
    parser.add_argument(
        "--models", nargs="*", default=[name for name, entry in fillers().items() if entry.file]
    )
    return parser.parse_args(argv)


def methods(models: list[str]) -> dict[str, Filler]:
    """What users have without a network, then `models` in fp32."""
    plain = {name: load(name, device="cpu") for name in ("blend", "dis")}
    nets = {name: load(name, device="cpu", precision="fp32") for name in models}
    return {"blend": plain["blend"], "minterpolate": Minterpolate(), "dis": plain["dis"], **nets}


if __name__ == "__main__":
    main()
