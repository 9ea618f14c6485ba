"""From the flags of `tween train impute` and `tween train latent-mae` to a run, its encoder trained before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tween.core import TweenError
from tween.data import labelled, latents
from tween.data.squares import squares
from tween.engine import distributed, train
from tween.engine.run import Run
from tween.engine.sitting import fitted
from tween.models.impute.config import EncoderConfig, PatchConfig, Taps, Trunk, VideoConfig
from tween.models.impute.corrupt import Noise, by_distance, gaussian, none
from tween.models.impute.encoder import Encoder
from tween.models.impute.fills_filler import FILLS
from tween.models.impute.task import Objective
from tween.nn.vae.sd import SdVAE, open_sd
from tween.recipes import impute, impute_feeds, impute_gaps, impute_pages, impute_video
from tween.recipes.impute_feeds import PATCH_FILLS, Dealing, Keys
from tween.recipes.impute_video import Clips, Video
from tween.zoo.codecs import open_codec
from tween.zoo.load import place

IMAGES = ("cifar10", "folder", "fake")
TOYS = ("shapes", "maze")
TOY = (250, 3e-3)
"""Steps and rate of the toys, where the flags say nothing."""
CHUNK = 256
PAIRED = 100.0
"""Weight at which the gradient of the error is about as large as that of drifting."""

Flags = Mapping[str, Any]


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
        return _gaps(args, dealing)
    return _still(args, dealing) if args["dataset"] in IMAGES else _moving(args, dealing)


def latent_mae(args: Flags) -> Run:
    """The run of an encoder by masked latents (or masked pictures, of a data set in pixels)."""
    distributed.start()
    if args["dataset"] not in IMAGES:
        clips, video = moving(args)
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


def common(args: Flags, batch_size: int) -> dict[str, Any]:
    """What all runs have of the flags."""
    same = (
        "name",
        "device",
        "steps",
        "lr",
        "precision",
        "minutes",
        "log_interval",
        "save_interval",
        "seed",
        "runs",
    )
    accumulate = args["accumulate"]
    if args["effective_batch"]:
        accumulate = impute.accumulated(args["effective_batch"], batch_size, distributed.start().world)
    steps, lr = TOY if args["dataset"] in TOYS else (args["steps"], args["lr"])
    own = {"steps": args["steps"] or steps or 20_000, "lr": args["lr"] or lr or 4e-4}
    muon = args["optimizer"] == "muon"
    return {name: args[name] for name in same} | own | {"accumulate": accumulate, "muon": muon}


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
        about={"data": args["dataset"], "samples": len(found.samples), "fill": fill, "given": counts},
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


def before(
    make: Callable[..., Run], fields: dict[str, Any], steps: int, *, lr: float, minutes: float | None = None
) -> Encoder:
    """The encoder that `make` describes, trained for so many steps, or minutes instead; of 0 steps, its random
    beginning."""
    name = f"{fields['name']}-encoder"
    same = {key: fields[key] for key in ("device", "precision", "seed", "runs")}
    run = make(name=name, steps=max(1, steps), lr=lr, batch_size=256, **same)
    if not steps:
        return run.task.modules["encoder"]
    if minutes is None:
        train(run)
    elif not (run.folder / "last.safetensors").is_file():
        fitted(run, minutes, True)
    with distributed.first():  # that process has written it
        return impute.read_encoder(run.folder / "last.safetensors", fields["device"])


def wanted(args: Flags) -> Objective:
    """The objective that the flags ask for."""
    which, plain = args["objective"] or "drift", args["vanilla_loss_weight"]
    weight = PAIRED if args["paired_loss_weight"] is None else args["paired_loss_weight"]
    taps = Taps(
        patches=(2, 4) if args["feature_include_patch_stats"] else (),
        locations=bool(args["feature_locations"]),
        plain=plain > 0,
    )
    return Objective(
        drift=0.0 if which == "paired" else 1.0,
        paired=0.0 if which == "drift" else (1.0 if which == "paired" else weight),
        taps=taps,
        importance={"plain": plain} if plain else {},
        mixed=bool(args["drift_bf16"]),
        compiled=bool(args["compile_drift"]),
        diagnose=args["drift_stats"],
    )


def trunk(args: Flags, classes: int) -> Trunk:
    """The refiner's transformer."""
    width = args["width"]
    return Trunk(
        width=width,
        layers=args["layers"],
        heads=max(1, width // 64),
        ffn=8 * width // 3,
        classes=classes,
        style=args["style"],
        explicit=bool(args["explicit_keys"]),
        clamp=bool(args["keep_anchors_fixed"]),
        residual=args["predict"] == "residual",
    )


def noise(args: Flags) -> Noise:
    """Of the fill."""
    sigma = args["corrupt_sigma"]
    return {"none": none, "dist": by_distance(sigma), "gauss": gaussian(sigma)}[args["corrupt_mode"]]


def moving(args: Flags) -> tuple[Clips, Video]:
    """Clips, and how they are learned from."""
    kind, path, where = args["dataset"], args["data_path"], place(args["device"])
    if kind in TOYS:
        return impute_video.toy(kind, args["device"], args["seed"])
    if path is None:
        raise TweenError(f"the data set {kind} needs --data-path, but there is none; say where it lies")
    video = Video(
        codes=tuple(args["codes"] or Video().codes),
        encoder=EncoderConfig(width=args["encoder_width"], blocks=(2, 2, 2)),
    )
    if kind in ("clips", "doom"):
        samples = filmed(args).to(where)
        if args["input_space"] == "pixels":
            return Clips(samples=samples), video
        wanted = str(args["vae"] or "vae-small")
        return impute_video.latent_clips(samples, wanted, args["device"]), replace(video, patch=2)
    found = latents.read(Path(path))
    text = None if found.text is None else found.text.to(where)
    prompts = found.prompts if any(found.prompts) else ()
    clips = Clips(samples=found.clips.to(where), text=text, prompts=prompts, about=found.about)
    return clips, replace(video, patch=2)


def filmed(args: Flags) -> Tensor:
    """Clips of videos or of a recorded world."""
    path, t = Path(args["data_path"]), args["frames"]
    if args["dataset"] == "doom":
        return impute_video.of_world(path, t=t, count=args["cuts"], seed=args["seed"])
    return squares(path, t=t, side=args["image_size"] or 64)[0]


def _moving(args: Flags, dealing: Dealing) -> Run:
    clips, video = moving(args)
    if args["dataset"] not in TOYS:
        if dealing == Dealing():  # as for pictures: too much for clips
            dealing = video.dealing
        used = clips.about.get("each frame by itself", args["dataset"] != "wansynth")
        objective = replace(wanted(args), unnamed=impute_video.UNNAMED * used)
        video = replace(video, trunk=trunk(args, 1), dealing=dealing, objective=objective)
    video = replace(
        video,
        gaps=tuple(args["gaps"] or video.gaps),
        fill=args["interp_mode"] or video.fill,
        patch=args["patch_size"] or video.patch,
        replace=args["replace_keyframes"],
        quantiser=args["quantiser"],
    )
    if clips.samples.shape[2] != 3 and clips.shown is None and video.fill not in FILLS:
        raise TweenError(
            f"latents that came without pictures are filled by {', '.join(FILLS)}, but --interp-mode is {video.fill}; "
            f"choose one"
        )
    fields = common(args, video.dealing.classes * video.dealing.generated)
    steps = (
        args["encoder_steps"]
        if args["encoder_steps"] is not None
        else (60 if args["dataset"] in TOYS else 4000)
    )
    encoder = None
    if video.window and args["encoder"]:
        encoder = impute.read_encoder(args["encoder"], args["device"])
    elif video.window:
        make = partial(_windows, clips, video)
        encoder = before(make, fields, steps, lr=4e-3)
    return impute_video.refiner_run(clips, video, encoder, noise=noise(args), **fields)


def _windows(clips: Clips, video: Video, *, batch_size: int, **fields: Any) -> Run:
    return impute_video.encoder_run(clips, video, batch_size=min(batch_size, 64), **fields)


def _gaps(args: Flags, dealing: Dealing) -> Run:
    """The refiner that is released, or one of latents trained as that is."""
    if args["data_path"] is None or args["packed"] is None:
        raise TweenError(
            "the data set gaps needs --data-path, a folder with shots.csv, and --packed, where decoded clips are kept"
        )
    video, latent = _of_gaps(args, dealing), args["input_space"] == "latent"
    wanted_vae = str(args["vae"] or "vae-small")
    vae = open_codec(wanted_vae, args["device"]) if latent else None
    found = impute_gaps.stretches(
        Path(args["data_path"]),
        Path(args["packed"]),
        count=args["cuts"],
        side=args["image_size"] or 128,
        longest=max(video.gaps),
        hold_out=args["hold_out"],
        device=args["device"],
        workers=args["workers"],
    )
    fill = impute_video.coarse(video.fill, args["device"])
    learned, held = (impute_gaps.filled(x, tuple(video.gaps), fill) for x in found)
    learned = impute_gaps.in_latents(learned, vae) if vae else learned
    fields = common(args, video.dealing.classes * video.dealing.generated)
    return impute_gaps.gaps_run(
        learned,
        held,
        video,
        _encoder_of_gaps(args, learned, video, fields),
        _config_of_gaps(args, learned.clips.shape[2]),
        vae=vae,
        about=impute_video.told_of(wanted_vae, vae) if vae else {},
        **fields,
    )


def _of_gaps(args: Flags, dealing: Dealing) -> Video:
    """How gaps are learned from."""
    video = impute_gaps.VIDEO
    objective = replace(
        wanted(dict(args) | {"objective": args["objective"] or "both"}),
        unnamed=impute_video.UNNAMED,
        even=impute_gaps.EVEN,
    )
    if args["paired_loss_weight"] is None and objective.drift:
        objective = replace(objective, paired=impute_gaps.PAIRED)
    latent = args["input_space"] == "latent"
    return replace(
        video,
        fill=args["interp_mode"] or video.fill,
        gaps=tuple(args["gaps"] or video.gaps),
        codes=tuple(args["codes"] or video.codes),
        quantiser=args["quantiser"],
        dealing=video.dealing if dealing == Dealing() else dealing,
        objective=objective,
        encoder=replace(video.encoder, large=not latent),
    )


def _encoder_of_gaps(
    args: Flags, learned: impute_gaps.Gaps, video: Video, fields: dict[str, Any]
) -> Encoder | None:
    if not video.objective.drift:
        return None
    if args["encoder"]:
        return impute.read_encoder(args["encoder"], args["device"])
    make = partial(_windows, Clips(samples=learned.clips), video)
    steps = 4000 if args["encoder_steps"] is None else args["encoder_steps"]
    return before(make, fields, steps, lr=2e-3, minutes=args["encoder_minutes"])


def _config_of_gaps(args: Flags, channels: int) -> VideoConfig:
    """The released one's; of latents without what is measured in grey levels."""
    config = impute_gaps.RELEASED
    if channels != 3:
        config = replace(config, channels=channels, patch=2, calm=0.0, mix=0)
    config = replace(config, patch=args["patch_size"] or config.patch)
    if (args["width"], args["layers"]) != (384, 8):
        config = replace(config, trunk=replace(trunk(args, 1), clamp=True))
    return config
