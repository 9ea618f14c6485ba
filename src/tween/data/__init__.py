"""Floor 4: what is trained and measured on."""

from functools import partial

from tween.data import (
    labelled,
    layered,
    middlebury,
    shards,
    snu_film,
    triplets,
    ucf101,
    videos,
    vimeo,
    vimeo_septuplet,
    x4k,
    xiph,
)
from tween.data.dataset import Check, Dataset
from tween.data.triplets import Triplet


def _snu_film(level: str) -> Dataset:
    return Dataset(
        about=f"SNU-FILM, {level}: 310 triplets",
        check=partial(snu_film.check, level=level),
        read=partial(snu_film.read, level=level),
    )


def _snu_film_arb(level: str) -> Dataset:
    steps = snu_film.BETWEEN[level]
    return Dataset(
        about=f"SNU-FILM-arb, {level}: {steps - 1} frames between the ends of 310 triplets",
        check=partial(snu_film.check_arb, level=level),
        read=partial(snu_film.read_arb, level=level),
    )


DATASETS: dict[str, Dataset] = {
    "vimeo": Dataset(
        about="Vimeo-90K triplets: 51,313 to train on, 3,782 to test on",
        check=vimeo.check,
        read=vimeo.read,
        train=vimeo.train,
    ),
    "vimeo-septuplet": Dataset(
        about="Vimeo-90K septuplets: 64,612 to train on, 7,824 to test on (im1, im4, im7)",
        check=vimeo_septuplet.check,
        read=vimeo_septuplet.read,
        train=vimeo_septuplet.train,
    ),
    "x4k": Dataset(
        about="X4K1000FPS, X-TRAIN: 4,408 clips to train on, 8 to 32 frames apart",
        check=x4k.check,
        train=x4k.train,
    ),
    "xtest-4k": Dataset(
        about="X4K1000FPS, X-TEST: 15 clips, 7 frames between two, 4096x2160",
        check=x4k.check_test,
        read=partial(x4k.read, kind="4k"),
    ),
    "xtest-2k": Dataset(about="X-TEST at 2048x1080", check=x4k.check_test, read=partial(x4k.read, kind="2k")),
    "ucf101": Dataset(about="UCF101: 379 triplets", check=ucf101.check, read=ucf101.read),
    **{f"snu-film-{level}": _snu_film(level) for level in ("easy", "medium", "hard", "extreme")},
    **{f"snu-film-arb-{level}": _snu_film_arb(level) for level in snu_film.BETWEEN},
    "middlebury": Dataset(
        about="Middlebury OTHER: 12 triplets", check=middlebury.check, read=middlebury.read
    ),
    "xiph-2k": Dataset(
        about="Xiph: 8 clips, 49 frames of each, at 2048x1080",
        check=xiph.check,
        read=partial(xiph.read, kind="2k"),
    ),
    "xiph-4k": Dataset(
        about="Xiph: the same frames, the middle 2048x1080 of each",
        check=xiph.check,
        read=partial(xiph.read, kind="4k"),
    ),
    "shards": Dataset(
        about="a folder of WebDataset shards written by tween data shard",
        check=shards.check,
        train=shards.read,
    ),
    "folder": Dataset(
        about="any folder of videos: triples of frames of one shot",
        check=videos.check,
        read=videos.read,
        train=videos.train,
    ),
    "layers": Dataset(
        about="any folder of pictures, cut into moving layers: exact frame and flow at any t",
        check=layered.check,
        train=layered.train,
    ),
    "cifar10": Dataset(
        about="CIFAR-10 as JPEG in a tar: 60,000 labelled pictures of 32x32, for tween train impute",
        check=labelled.check,
    ),
    "triplets": Dataset(
        about="any folder of scenes with im1, im2 and im3", check=triplets.check, read=triplets.read
    ),
}
"""Every dataset by its name."""

__all__ = ["DATASETS", "Check", "Dataset", "Triplet"]
