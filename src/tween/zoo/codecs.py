"""From a name or a file to an autoencoder of clips that runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from tween.core import TweenError
from tween.engine import checkpoint
from tween.nn.vae import WanConfig, WanVAE
from tween.nn.vae.convert import wan_vae
from tween.zoo.load import place
from tween.zoo.registry import ZOO
from tween.zoo.worlds import load_codec, load_world, revived


def open_codec(wanted: str, device: str = "auto") -> WanVAE:
    """The autoencoder that `wanted` means, frozen: a released one, `wan` (Wan 2.1's, whose weights were imported), a
    checkpoint of `tween train vae` or the file of a world. Those of ours are in half precision on CUDA.

    Raises:
        TweenError: if there is none.
    """
    where = place(device)
    if wanted == "wan":
        return wan_vae().to(where).eval().requires_grad_(False)
    if wanted in ZOO:
        return load_codec(wanted, device)
    if not wanted.endswith(".safetensors"):
        known = "".join(f"{name}, " for name, entry in ZOO.items() if entry.kind == "vae")
        raise TweenError(
            f"there is no autoencoder {wanted!r}; choose {known}a checkpoint of `tween train vae`, or wan after `tween "
            f"models import wan-vae`"
        )
    if not Path(wanted).is_file():
        raise TweenError(
            f"there should be an autoencoder at {wanted}, but there is no file; put it back, or train one with "
            f"`tween train vae`"
        )
    dtype = torch.float16 if where.type == "cuda" else torch.float32
    return of_file(Path(wanted), device).to(dtype).requires_grad_(False)


def named(wanted: str) -> str:
    """What to write down, so that `open_codec` finds it from any folder."""
    return str(Path(wanted).resolve()) if Path(wanted).is_file() else wanted


def of_file(path: Path, device: str = "auto") -> WanVAE:
    """The autoencoder of a checkpoint or of a world, frozen, in full precision.

    Raises:
        TweenError: if `path` holds none.
    """
    try:
        configs = checkpoint.header(path)["config"]["configs"]
    except TweenError:
        return load_world(path, device).filler.codec.float()
    if "vae" not in configs:
        raise TweenError(f"{path} should be a checkpoint of 'vae', but is one of {', '.join(configs)}")
    net = WanVAE(revived(WanConfig, configs["vae"]))
    net.load_state_dict(checkpoint.part(checkpoint.weights(path), "vae."))
    return net.to(place(device)).eval()


def print_of(codec: WanVAE) -> str:
    """A fingerprint of its weights, in half precision: the same wherever they run."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in codec.state_dict().items():
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().half().numpy().tobytes())
    return digest.hexdigest()
