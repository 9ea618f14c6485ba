"""From the flags of `tween train impute` and `tween train latent-mae` to a run, its encoder trained before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tween.core import TweenError
from tween.data import labelled
from tween.engine import distributed
from tween.engine.run import Run
from tween.models.impute.config import EncoderConfig, PatchConfig
from tween.models.impute.encoder import Encoder
from tween.models.impute.task import Objective
from tween.nn.vae.sd import SdVAE, open_sd
from tween.recipes import impute, impute_clips, impute_feeds, impute_pages, impute_video
from tween.recipes.impute_feeds import PATCH_FILLS, Dealing, Keys
from tween.recipes.impute_flags import Flags, before, common, noise, sources, trunk, wanted
from tween.zoo.load import place

IMAGES = ("cifar10", "folder", "fake")
CHUNK = 256


class Pictures(NamedTuple):
    """What pictures there are to learn from, on the device: uint8 pictures, or latents with their autoencoder."""

    samples: Tensor
    labels: Tensor
    classes: int
    vae: SdVAE | None = None


def refiner(args: Flags, dealing: Dealing) -> Run:
    """The run of a refiner. Its encoder is read, or trained first, as `NAME-encoder`."""
    distributed.start()
    if args["dataset"] == "gaps":
        return impute_clips.of_gaps(args, dealing)
    return _still(args, dealing) if args["dataset"] in IMAGES else impute_clips.refiner(args, dealing)


def latent_mae(args: Flags) -> Run:
    """The run of an encoder by masked latents (or masked pictures, of a data set in pixels)."""
    distributed.start()
    if args["dataset"] not in IMAGES:
        clips, video = impute_clips.moving(args)
        if not video.window:
            raise TweenError(
                f"{args['dataset']} has no pictures to learn features of; choose another data set"
            )
        return impute_video.encoder_run(
            clips, video, batch_size=args["batch_size"], **common(args, args["batch_size"])
        )
    found, size = pictures(args), args["batch_size"]

    def batch(index: int) -> Tensor:
        chosen = torch.randint(len(found.samples), (size,)).to(found.samples.device)
        return impute_feeds.as_float(found.samples[chosen])

    config = EncoderConfig(channels=found.samples.shape[1], width=args["encoder_width"], blocks=(3, 4, 6, 3))
    return impute.latent_mae(batch, config, batch_size=size, **common(args, size))


def pictures(args: Flags) -> Pictures:
    """The data set that the flags name.

    Raises:
        TweenError: if it needs a path, but there is none.
    """
    kind, where = args["dataset"], place(args["device"])
    side = args["image_size"] or (labelled.SIDE if kind == "cifar10" else 64)
    if kind != "fake" and args["data_path"] is None:
        raise TweenError(f"the data set {kind} needs --data-path, but there is none; say where it lies")
    if kind == "cifar10" and side != labelled.SIDE:
        raise TweenError(
            f"CIFAR-10 has pictures of {labelled.SIDE} pixels, but --image-size is {side}; leave it out"
        )
    vae = open_sd(args["vae"]).to(where) if args["input_space"] == "latent" else None
    if vae and kind == "folder":
        return _encoded_folder(args["data_path"], side, vae)
    read = {
        "fake": lambda: labelled.fake(side, each=max(64, 2 * args.get("n_pos_per_class", 0))),
        "cifar10": lambda: labelled.cifar10(args["data_path"]),
        "folder": lambda: labelled.folder(args["data_path"], side),
    }
    found = read[kind]().to(where)
    samples = found.pictures if vae is None else encoded(vae, found.pictures)
    return Pictures(samples, found.labels, len(found.classes), vae)


def _encoded_folder(root: Path, side: int, vae: SdVAE) -> Pictures:
    """A folder's latents, without all of its pictures in memory at once."""
    paths, where = labelled.listed(root), next(vae.parameters()).device
    labels, classes = labelled.numbered([path.parent.name for path in paths])
    parts = []
    for at in range(0, len(paths), CHUNK):
        read = torch.from_numpy(labelled.opened(paths[at : at + CHUNK], side)).permute(0, 3, 1, 2)
        parts.append(encoded(vae, read.to(where)))
    return Pictures(torch.cat(parts), labels.to(where), len(classes), vae)


@torch.no_grad()
def encoded(vae: SdVAE, samples: Tensor) -> Tensor:
    """Latents of all pictures, fp16."""
    return torch.cat([vae.encode(part.float() / 255).half() for part in samples.split(CHUNK)])


def _still(args: Flags, dealing: Dealing) -> Run:
    found = pictures(args)
    patch = args["patch_size"] or (2 if found.vae else 4)
    rows, columns = (n // patch for n in found.samples.shape[2:])
    dealing = replace(dealing, classes=min(dealing.classes, found.classes))
    fill = args["interp_mode"] or "idw"
    if fill not in PATCH_FILLS:
        raise TweenError(
            f"patches are filled by {', '.join(PATCH_FILLS)}, but --interp-mode is {fill}; choose one"
        )
    counts = [max(1, round(share * rows * columns)) for share in args["shares"]]
    size, objective = dealing.classes * dealing.generated, wanted(args)
    fields = common(args, size)
    encoder, view = features_of(args, found, objective, fields)
    if encoder is not None and distributed.start().rank == 0:
        seen = found.samples, found.labels, found.classes
        impute_pages.of_pictures(args["runs"] / args["name"], encoder, seen, objective.taps, dealing, view)
    return impute.refiner(
        impute_feeds.keypatches(
            found.samples,
            found.labels,
            classes=found.classes,
            dealing=dealing,
            keys=Keys(counts=counts, fill=PATCH_FILLS[fill], noise=noise(args)),
            patch=patch,
            seed=args["seed"],
        ),
        PatchConfig(
            grid=(rows, columns), values=found.samples.shape[1] * patch**2, trunk=trunk(args, found.classes)
        ),
        encoder,
        objective,
        patch=patch,
        view=view,
        batch_size=size,
        about=sources(args) | {"samples": len(found.samples), "fill": fill, "given": counts},
        **fields,
    )


def features_of(
    args: Flags, found: Pictures, objective: Objective, fields: dict[str, Any]
) -> tuple[Encoder | None, Callable[[Tensor], Tensor]]:
    """The encoder, and what it sees of samples. Of latents a ResNet sees decoded pictures, with gradient."""
    decodes = found.vae is not None and args["feature_space"] == "resnet"
    view = found.vae.decode if decodes else (lambda samples: samples)
    if not objective.drift:
        return None, view
    if args["encoder"]:
        return impute.read_encoder(args["encoder"], args["device"]), view
    shown = found if not decodes else found._replace(samples=decoded(found))
    steps = args["encoder_steps"] if args["encoder_steps"] is not None else (args["dataset"] != "fake") * 4000
    large = shown.samples.shape[-1] >= 64
    config = EncoderConfig(
        channels=shown.samples.shape[1], width=args["encoder_width"], large=large, classes=found.classes
    )
    batch = impute_feeds.pictures(shown.samples, shown.labels, batch_size=256)
    return before(lambda **own: impute.classifier(batch, config, **own), fields, steps, lr=2e-3), view


@torch.no_grad()
def decoded(found: Pictures) -> Tensor:
    """The pictures that latents stand for, uint8: what a ResNet will see, with the autoencoder's marks."""
    parts = [found.vae.decode(part.float()).clamp(0, 1) for part in found.samples.split(CHUNK)]
    return torch.cat([(part * 255).round().byte() for part in parts])
