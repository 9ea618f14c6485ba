"""What the parts of `quality` are worth on a folder of triplets: flips, their mean, and the network that refines.

python -m bench.flips --path DIR
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.common import save
from tween.core import Filler
from tween.data import DATASETS
from tween.evaluate import choose, middle_frames
from tween.evaluate.confidence import difference
from tween.models.interp.filler import InterpFiller
from tween.models.interp.flips import Flipped
from tween.zoo import load


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/flips.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True)
    scenes, way = DATASETS["triplets"].read(parser.parse_args(argv).path), choose("triplets")
    rows: list[dict[str, Any]] = []
    for name, (filler, turned) in methods().items():
        table = middle_frames(filler, scenes, replace(way, tta=turned))
        psnr = {row.name: row.psnr for row in table.rows}
        rows.append({"method": name, "psnr": table.psnr, "ssim": table.ssim, "ie": table.ie, "psnr_of": psnr})
        gain = difference([rows[0]["psnr_of"]], [psnr])
        rows[-1] |= {"gain": gain.mean, "half": gain.half}
        print(f"{name}: {table.psnr:.3f} dB, {gain.mean:+.3f} ± {gain.half:.3f}", flush=True)
    save("flips", rows, protocol=str(way), pictures=len(scenes))


def methods() -> dict[str, tuple[Filler[Any], bool]]:
    """Each, and whether the protocol averages it with a half turn."""
    whole = load("quality", device="cpu", precision="fp32")
    plain, refined = whole.filler, whole.refined
    assert isinstance(refined, InterpFiller)
    return {
        "fast": (plain, False),
        "refined": (refined, False),
        "fast and a half turn": (plain, True),
        "fast under four flips": (Flipped(plain), False),
        "quality: that, and what refining changed": (whole, False),
        "refined under four flips": (Flipped(refined), False),
    }


if __name__ == "__main__":
    main()
