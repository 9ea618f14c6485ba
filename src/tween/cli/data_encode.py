"""`tween data encode --path VIDEOS --out SHARDS`: clips as latents of an autoencoder, with what is said of them."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from tween.core import TweenError


def add(p: argparse.ArgumentParser) -> None:
    """Flags of `tween data encode`."""
    p.add_argument("--path", type=Path, required=True, help="videos, in folders or not")
    p.add_argument("--out", type=Path, required=True, help="a new folder for the shards")
    p.add_argument(
        "--vae", default="vae-small", help="vae-small, wan if imported, or a checkpoint of tween train vae"
    )
    p.add_argument(
        "--frames",
        type=int,
        default=81,
        help="of a clip; 81 are 21 latents of an autoencoder that takes 4 as one",
    )
    p.add_argument(
        "--each-frame",
        action="store_true",
        help="every frame by itself, one latent each: what tween fill can use",
    )
    p.add_argument("--size", type=int, nargs=2, default=(256, 256), metavar=("H", "W"), help="of a frame")
    p.add_argument(
        "--text",
        type=Path,
        metavar="FILE.npy",
        help="embeddings, a row for every video in the order of names",
    )
    p.add_argument("--prompts", type=Path, metavar="FILE.txt", help="a line for every video, likewise")
    p.add_argument("--samples", type=int, help="clips at most")
    p.add_argument("--per-shard", type=int, default=256, help="clips in a shard")
    p.add_argument("--device", default="auto")


def main(args: argparse.Namespace) -> int:
    """Write them and say how many there are."""
    import torch

    from tween.data.latents import stream
    from tween.models.impute.framewise import encoded
    from tween.recipes.encode import clips
    from tween.zoo.codecs import named, open_codec, print_of

    for name in ("frames", "per_shard"):
        if getattr(args, name) < 1:
            raise TweenError(
                f"--{name.replace('_', '-')} should be at least 1, but got {getattr(args, name)}"
            )
    vae = open_codec(args.vae, args.device)
    where = vae.mean.device

    @torch.inference_mode()
    def encode(frames: torch.Tensor) -> torch.Tensor:
        return encoded(vae, frames.to(where)) if args.each_frame else vae.encode(frames.to(where))[0]

    found = clips(
        args.path, encode, t=args.frames, size=tuple(args.size), text=args.text, prompts=args.prompts
    )
    about = {
        "autoencoder": named(args.vae),
        "its fingerprint": print_of(vae),
        "frames": args.frames,
        "each frame by itself": args.each_frame,
        "size": list(args.size),
    }
    count = stream(args.out, islice(found, args.samples), about, each=args.per_shard)
    print(f"{count:,} clips of {args.frames} frames of {args.size[0]}x{args.size[1]} in {args.out}")
    return 0
