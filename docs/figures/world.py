"""Draws world.png: what the released world makes of each order beside the real game, and three walks of a minute,
whose first picture and actions are those of held-out episodes. Nothing is chosen: the first episodes that the world was
judged by. Takes minutes on a CPU.

PYTHONPATH=docs/figures python docs/figures/world.py [--walks 3]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image
from side_by_side import sheet
from torch import Tensor

from tween.data.episodes import Episodes, take
from tween.data.record_doom import RATE, Doom, record_in_bulk
from tween.evaluate.world import ORDERS, World, orders
from tween.recipes.world import HELD_SEED
from tween.recipes.world_judge import AFTER, BEFORE, going_on
from tween.zoo.worlds import open_world

JUDGED = 48  # the number of the first episode that the world was judged by
LATER = (4, 9, 13, 18)  # frames
SECONDS = (5, 15, 30, 60)


def main() -> None:
    """Draw it beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--walks", type=int, default=3)
    options = parser.parse_args()
    held = record_in_bulk(
        Doom(seed=HELD_SEED, maps=("MAP32",)), episodes=max(8, options.walks), processes=2, first=JUDGED
    )
    filler = open_world("doom").filler
    world = going_on(filler.net, filler.codec, filler.sampling)
    rows = told(world, held) + [walked(world, held, i) for i in range(options.walks)]
    picture = sheet(rows).quantize(256, dither=Image.Dither.NONE)
    picture.save(Path(__file__).with_suffix(".png"), optimize=True)


def told(world: World, held: Episodes) -> list[dict[str, Tensor]]:
    """Two rows an order: the real second and the made one, caption -> frame `3 h w`."""
    found, rows = orders(held, before=BEFORE, after=AFTER), []
    for order in ORDERS:
        window = take(held, found[order][:1], BEFORE + AFTER)
        frames = window.frames.movedim(-1, 2).float() / 255
        made = world(frames[:, :BEFORE], window.keys, window.mouse)[0]
        for name, clip in (("game", frames[0, BEFORE:]), ("world", made)):
            cells = {f"{order}, {name}: seen": frames[0, BEFORE - 1]}
            rows.append(cells | {f"frame {i}": clip[i - 1].cpu() for i in LATER})
    return rows


def walked(world: World, held: Episodes, episode: int) -> dict[str, Tensor]:
    """Of a walk from one picture: caption -> frame `3 h w`."""
    first = torch.from_numpy(held.frames[episode, :1]).movedim(-1, 1)[None].float() / 255
    keys, mouse = (torch.from_numpy(x[episode])[None] for x in (held.keys, held.mouse))
    made = world(first, keys, mouse)[0].cpu()
    cells = {f"walk {episode + 1}: the picture": first[0, 0]}
    return cells | {f"{s} s": made[min(round(s * RATE), len(made)) - 1] for s in SECONDS}


if __name__ == "__main__":
    main()
