"""Weights of Wan 2.1's autoencoder, as its authors published them or as diffusers keeps them, for `WanVAE`.

They are the user's to fetch (Apache-2.0; `Wan2.1_VAE.pth`, or `vae/diffusion_pytorch_model.safetensors` of a diffusers
folder); `tween models import wan-vae FILE` converts them once into the user's cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tween.core import TweenError
from tween.nn.published import fill, read
from tween.nn.vae.config import WAN, WanConfig
from tween.nn.vae.wan import WanVAE

SOURCE = "https://huggingface.co/Wan-AI/Wan2.1-T2V-1.3B"
FILE = "wan-vae.safetensors"

MEAN = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)
STD = (
    *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
    *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
)
"""Of Wan 2.1's latents, by channel, as its authors measured them."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """How a file names what we number.

    Attributes:
        ends: the pointwise convolutions that end the encoder and begin the decoder.
        first: the first causal convolution of either half.
        middle: of either half: residual block, attention, residual block.
        head: norm and convolution at the end of either half.
        down: of the layers between the encoder's `first` and `middle`, which are numbered.
        up: (index, residual blocks a level) -> name of a layer between the decoder's `middle` and `head`.
        inside: our name of a layer's part -> theirs, where they differ.
    """

    ends: tuple[str, str]
    first: str
    middle: tuple[str, str, str]
    head: tuple[str, str]
    down: str
    up: Callable[[int, int], str]
    inside: Mapping[str, str]


PUBLISHED = Names(
    ends=("conv1", "conv2"),
    first="conv1",
    middle=("middle.0", "middle.1", "middle.2"),
    head=("head.0", "head.2"),
    down="downsamples",
    up=lambda index, per_level: f"upsamples.{index}",
    inside={"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6"},
)


def _in_blocks(index: int, per_level: int) -> str:
    level, place = divmod(index, per_level + 1)
    part = "upsamplers.0" if place == per_level else f"resnets.{place}"
    return f"up_blocks.{level}.{part}"


DIFFUSERS = Names(
    ends=("quant_conv", "post_quant_conv"),
    first="conv_in",
    middle=("mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"),
    head=("norm_out", "conv_out"),
    down="down_blocks",
    up=_in_blocks,
    inside={"shortcut": "conv_shortcut"},
)


def layers(config: WanConfig, names: Names) -> dict[str, str]:
    """Our name of every layer -> theirs."""
    levels = len(config.multipliers)
    down = [f"{names.down}.{i}" for i in range(levels * (config.blocks + 1) - 1)]
    up = [names.up(i, config.blocks + 1) for i in range(levels * (config.blocks + 2) - 1)]
    encoder = [names.first, *down, *names.middle, "head"]
    decoder = [names.first, *names.middle, *up, "head"]
    ours = {f"encoder.{i}": f"encoder.{name}" for i, name in enumerate(encoder)}
    ours |= {f"decoder.{i}": f"decoder.{name}" for i, name in enumerate(decoder, 1)}
    return ours | {f"encoder.{len(encoder)}": names.ends[0], "decoder.0": names.ends[1]}


def theirs(ours: Sequence[str], config: WanConfig, names: Names) -> Iterator[tuple[str, str]]:
    """Pairs of our name of a tensor and theirs."""
    parts = {"conv": "resample.1"} | names.inside
    places = layers(config, names)
    for name in ours:
        half, index, *inner = name.split(".")
        place = places[f"{half}.{index}"]
        if place.endswith(".head"):
            part = names.head[0 if inner[0] == "norm" else 1]
            yield name, f"{half}.{part}.{inner[-1]}"
        else:
            yield name, ".".join([place, *(parts.get(part, part) for part in inner)])


def convert(
    state: Mapping[str, Tensor],
    config: WanConfig = WAN,
    *,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> dict[str, Tensor]:
    """The state of a `WanVAE(config)` from that of Wan's autoencoder, in diffusers' names or the published ones.

    Args:
        mean, std: of the latents, a value a channel.

    Raises:
        TweenError: if a tensor is missing, is left over or has another size.
    """
    with torch.device("meta"):
        wanted = WanVAE(config).state_dict()
    names = DIFFUSERS if "encoder.conv_in.weight" in state else PUBLISHED
    pairs = dict(theirs([name for name in wanted if name not in ("mean", "std")], config, names))
    wrong = [*(set(pairs.values()) ^ state.keys())]
    wrong = wrong or [name for ours, name in pairs.items() if state[name].numel() != wanted[ours].numel()]
    if wrong:
        raise TweenError(
            f"expected the weights of Wan 2.1's autoencoder, but {min(wrong)} does not fit; give Wan2.1_VAE.pth, or "
            f"vae/diffusion_pytorch_model.safetensors of a diffusers folder, from {SOURCE}"
        )
    converted = {ours: _unrolled(state[name]).reshape(wanted[ours].shape) for ours, name in pairs.items()}
    return converted | {"mean": torch.tensor(mean), "std": torch.tensor(std)}


def _unrolled(weight: Tensor) -> Tensor:
    """A kernel `out in k h w` as `out k*in h w`: frames stacked in channels."""
    return weight.transpose(1, 2).flatten(1, 2) if weight.ndim == 5 else weight


def user_cache() -> Path:
    """Where this user keeps what can be had again: $XDG_CACHE_HOME/tween, ~/.cache/tween if that is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tween"


def import_weights(file: Path, cache_dir: Path | None = None, config: WanConfig = WAN) -> Path:
    """Convert `file` into `cache_dir` (by default `user_cache()`), in the precision it has; returns where.

    Raises:
        TweenError: if it is not there or not Wan 2.1's autoencoder, or cannot be written.
    """
    state = convert(read(file, "the import of wan-vae", SOURCE), config)
    target = (cache_dir or user_cache()) / FILE
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in state.items()}, part)
        os.replace(part, target)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise TweenError(
            f"could not write {target} ({error}); free some space or set XDG_CACHE_HOME"
        ) from error
    return target


def wan_vae(cache_dir: Path | None = None, config: WanConfig = WAN) -> WanVAE:
    """Wan 2.1's autoencoder with the imported weights, frozen, on the CPU.

    Raises:
        TweenError: if they were not imported yet.
    """
    path = (cache_dir or user_cache()) / FILE
    with torch.device("meta"):  # drawing weights that are thrown away takes longer than reading these
        net = WanVAE(config)
    net.to_empty(device="cpu")
    fill(net, read(path, "wan-vae", f"{SOURCE} by `tween models import wan-vae FILE`"), path)
    return net
