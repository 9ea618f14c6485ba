"""From the flags of `tween train impute` to the run of a refiner of clips, its encoder trained before it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from tween.core import TweenError
from tween.data import latents
from tween.data.squares import squares
from tween.engine.run import Run
from tween.models.impute.config import EncoderConfig, VideoConfig
from tween.models.impute.encoder import Encoder
from tween.models.impute.fills_filler import FILLS
from tween.recipes import impute, impute_gaps, impute_video
from tween.recipes.impute_feeds import Dealing
from tween.recipes.impute_flags import TOYS, Flags, before, common, noise, sources, trunk, wanted
from tween.recipes.impute_video import Clips, Video
from tween.zoo.codecs import open_codec
from tween.zoo.load import place


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
        which = str(args["vae"] or "vae-small")
        return impute_video.latent_clips(samples, which, args["device"]), replace(video, patch=2)
    found = latents.read(Path(path))
    text = None if found.text is None else found.text.to(where)
    prompts = found.prompts if any(found.prompts) else ()
    shards = {"shards": f"{found.shards[0]} to {found.shards[-1]}"}
    clips = Clips(samples=found.clips.to(where), text=text, prompts=prompts, about=found.about | shards)
    return clips, replace(video, patch=2)


def filmed(args: Flags) -> Tensor:
    """Clips of videos or of a recorded world."""
    path, t = Path(args["data_path"]), args["frames"]
    if args["dataset"] == "doom":
        return impute_video.of_world(path, t=t, count=args["cuts"], seed=args["seed"])
    return squares(path, t=t, side=args["image_size"] or 64)[0]


def refiner(args: Flags, dealing: Dealing) -> Run:
    """The run of a refiner of clips or toys."""
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
    encoder = _encoder(args, clips, video, fields) if video.window else None
    mode, sigma = args["corrupt_mode"], args["corrupt_sigma"]
    about = sources(args) | ({} if mode == "none" else {"noise": mode, "its deviation": sigma})
    return impute_video.refiner_run(clips, video, encoder, noise=noise(args), about=about, **fields)


def _encoder(args: Flags, clips: Clips, video: Video, fields: dict[str, Any]) -> Encoder:
    """Read, or trained first."""
    if args["encoder"]:
        return impute.read_encoder(args["encoder"], args["device"])
    steps = 60 if args["dataset"] in TOYS else 4000
    steps = steps if args["encoder_steps"] is None else args["encoder_steps"]
    return before(partial(_windows, clips, video), fields, steps, lr=4e-3)


def _windows(clips: Clips, video: Video, *, batch_size: int, **fields: Any) -> Run:
    return impute_video.encoder_run(clips, video, batch_size=min(batch_size, 64), **fields)


def of_gaps(args: Flags, dealing: Dealing) -> Run:
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
        about=sources(args) | (impute_video.told_of(wanted_vae, vae) if vae else {}),
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
