"""What is measured: a name of the zoo, or what a training run left."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from tween.core import Filler, TweenError
from tween.engine import checkpoint
from tween.models.impute.config import VideoConfig
from tween.models.impute.corrupt import of_mode
from tween.models.impute.filler import ImputeFiller
from tween.models.impute.fills_filler import FILLS, FillFiller
from tween.models.impute.net import VideoRefiner
from tween.models.interp.config import NetConfig
from tween.models.interp.fast import FastConfig, FastNet
from tween.models.interp.filler import InterpFiller
from tween.models.interp.hybrid_filler import HybridFiller
from tween.models.interp.net import HybridNet
from tween.models.interp.quality import QualityConfig, QualityNet
from tween.models.splat.config import SplatConfig
from tween.models.splat.filler import SplatFiller
from tween.models.splat.net import SplatNet
from tween.nn.lgs import BlockConfig
from tween.nn.vae import WanVAE
from tween.zoo import ZOO, load, place
from tween.zoo.codecs import open_codec, print_of
from tween.zoo.load import DTYPES, Precision, fillers
from tween.zoo.worlds import revived

NETS = {FastConfig: FastNet, QualityConfig: QualityNet, NetConfig: HybridNet, SplatConfig: SplatNet}
WITHIN = {"block": BlockConfig, "fast": FastConfig}
"""Configs within configs, by field."""


def ready(
    model: str,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    scale: float | None = None,
    suggested: float = 1.0,
    runs: Path = Path("runs"),
) -> Filler[Any]:
    """The filler of a name in the zoo, of a run (NAME is its last weights, NAME_best its best) or of a checkpoint.

    Args:
        precision: `auto` of a checkpoint is fp32.
        scale: fraction of the frame's size at which motion is estimated.
        suggested: the same, where `scale` is None, for a network without a rule of its own: `thesis`.

    Raises:
        TweenError: if there is none, or it cannot run so.
    """
    path = None if model in ZOO else find(model, runs)
    own = sorted(last.parent.name for last in runs.glob("*/last.safetensors"))
    if path is None and model not in ZOO and own:
        raise TweenError(
            f"there is no model {model!r}; choose one of {', '.join(fillers())}, or a run of {runs}, "
            f"NAME or NAME_best: {', '.join(own)}"
        )
    if scale is not None and not 0 < scale <= 1:
        raise TweenError(f"scale should be above 0 and at most 1, but got {scale}")
    if path is not None:
        filler = restored(path, place(device), DTYPES.get(precision, torch.float32), scale or 1.0)
    else:
        filler = load(model, device=device, precision=precision, scale=1.0 if scale is None else scale)
    if isinstance(filler, HybridFiller) and scale is None and suggested != 1:
        return HybridFiller(filler.net, dtype=filler.dtype, scale=suggested)
    return filler


def find(model: str, runs: Path = Path("runs")) -> Path | None:
    """The checkpoint that `model` means; None where there is none of that name."""
    name = model.removesuffix("_best")
    wanted = runs / name / ("last.safetensors" if name == model else "best.safetensors")
    if wanted.is_file():
        return wanted
    if Path(model).suffix != ".safetensors":
        return None
    if not Path(model).is_file():
        raise TweenError(
            f"{model} should be a checkpoint such as runs/NAME/best.safetensors, but is not there"
        )
    return Path(model)


def restored(path: Path, device: torch.device, dtype: torch.dtype, scale: float = 1.0) -> Filler[Any]:
    """The network of a checkpoint, by the config stored in it, with its averaged weights where there are any.

    Raises:
        TweenError: if its config or weights are of another version.
    """
    configs = checkpoint.header(path)["config"].get("configs", {})
    if "channels" in configs.get("refiner", {}):
        return refining(path, device, dtype)
    if "grid" in configs.get("refiner", {}):
        raise TweenError(
            f"{path} refines patches of single pictures, but frames between others need a refiner of clips; train one "
            f"with `tween train impute --dataset clips`"
        )
    stored = configs.get("net")
    if stored is None:
        raise TweenError(f"{path} stores no config of its network, so it cannot be built; train it anew")
    config = config_of(stored, path)
    net = NETS[type(config)](config)
    weights = checkpoint.part(checkpoint.weights(path), "net.")
    wanted = net.state_dict()
    wrong = [k for k in wanted.keys() | weights.keys() if k not in wanted or k not in weights]
    wrong += [k for k in wanted.keys() & weights.keys() if wanted[k].shape != weights[k].shape]
    if wrong:
        raise TweenError(
            f"{path} holds weights that its config has no place for, such as {min(wrong)}; train it anew"
        )
    net.load_state_dict(weights)
    if isinstance(net, SplatNet):
        return SplatFiller(net.to(device), dtype=dtype)
    if isinstance(net, FastNet | QualityNet):
        return InterpFiller(net.to(device, dtype, memory_format=torch.channels_last), scale=scale)
    return HybridFiller(net.to(device), dtype=dtype, scale=scale)


def refining(path: Path, device: torch.device, dtype: torch.dtype) -> Filler[Any]:
    """A refiner over what filled in its training, of pictures or of the latents of an autoencoder.

    Raises:
        TweenError: if it refines latents whose autoencoder is not there, or that stand for more than a frame.
    """
    stored = checkpoint.header(path)["config"]
    config, about = revived(VideoConfig, stored["configs"]["refiner"]), stored.get("about", {})
    codec = None if config.channels == 3 else codec_of(path, about, str(device))
    net = VideoRefiner(config)
    net.load_state_dict(checkpoint.part(checkpoint.weights(path), "refiner."))
    fill = about.get("fill", "fast")
    coarse = (
        FillFiller(FILLS[fill](), sight=2)
        if fill in FILLS
        else load(fill, device=str(device), precision="fp32")
    )
    within = FILLS[fill]() if "each frame by itself" in about else None
    noise = of_mode(about.get("noise", "none"), about.get("its deviation", 0.0))
    return ImputeFiller(net.to(device), coarse, codec=codec, within=within, noise=noise, dtype=dtype)


def codec_of(path: Path, about: dict[str, Any], device: str) -> WanVAE:
    """The autoencoder that the latents of a refiner were made by."""
    if not about.get("each frame by itself", "autoencoder" in about):
        raise TweenError(
            f"{path} refines latents of several frames each, or of an unknown autoencoder, but keyframes come one by "
            f"one; train on shards of `tween data encode --each-frame`, or on clips"
        )
    codec = open_codec(about["autoencoder"], device)
    if print_of(codec) != about["its fingerprint"]:
        raise TweenError(
            f"{path} refines latents of another autoencoder than {about['autoencoder']} now is; put that one back, or "
            f"train anew"
        )
    return codec


def config_of(stored: dict[str, Any], path: Path) -> FastConfig | QualityConfig | NetConfig | SplatConfig:
    """A config from the plain values that a checkpoint keeps of it."""
    marks = {"pyramid": FastConfig, "fast": QualityConfig, "lifetime": SplatConfig}
    kind = next((kind for mark, kind in marks.items() if mark in stored), NetConfig)
    return _built(kind, stored, path)


def _built(kind: type, stored: dict[str, Any], path: Path) -> Any:
    """`kind` with the values stored; what is left out, also of the dataclasses within it, has its default."""
    unknown = sorted(stored.keys() - {f.name for f in fields(kind)})
    if unknown:
        raise TweenError(
            f"{path} was trained by another version: its config has {unknown[0]}, which is unknown"
        )
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    within = {k: _built(WITHIN[k], v, path) for k, v in values.items() if k in WITHIN}
    return kind(**values | within)
