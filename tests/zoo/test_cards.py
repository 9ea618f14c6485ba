"""Cards are made of what was measured and of what the manifests say."""

import csv

import pytest

from tween.core import TweenError
from tween.zoo.cards import Training, write_card
from tween.zoo.registry import Entry

ENTRY = Entry(
    build=lambda *_: None, summary="a net", file="n.safetensors", sha256="ab12", card="n.md", params=1234567
)
TRAINING = Training(
    recipe="`tween train n`", gpu="one NVIDIA H200", gpu_minutes=61.6, samples=2_000_000, commit="c0ffee"
)
COLUMNS = ["path", "source_repo", "licence", "licence_statement"]


def manifest(path, *rows, columns=COLUMNS):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def test_a_card_names_data_numbers_and_limits(tmp_path):
    clips = manifest(
        tmp_path / "m.csv",
        [
            "1.ts",
            "somebody/stream",
            "CC BY 3.0",
            "Big Buck Bunny (c) 2008 Blender Foundation | www.bigbuckbunny.org",
        ],
        [
            "2.ts",
            "somebody/stream",
            "CC BY 3.0",
            "Big Buck Bunny (c) 2008 Blender Foundation | www.bigbuckbunny.org",
        ],
        ["3.mp4", "other/videos", "CC BY 4.0", "LICENSE"],
    )
    result = {
        "model": "n",
        "dataset": "triplets",
        "psnr": 26.9,
        "ssim": 0.9,
        "ie": 6,
        "rows": [1, 2],
        "protocol": "ema",
    }
    write_card(
        tmp_path / "n.md",
        "n",
        ENTRY,
        training=TRAINING,
        manifests={"clips": clips},
        results=[result],
        limits=["Fences."],
    )
    card = (tmp_path / "n.md").read_text()
    for part in (
        "# n\n\nA net.",
        "| 1,234,567 | `n.safetensors` | Apache-2.0 | `ab12` |",
        "| n | triplets | 26.90 | 0.9000 | 6.00 | 2 | ema |",
        "- Fences.",
        "2,000,000 crops, 62 minutes on one NVIDIA H200, code c0ffee.",
        "3 clips:",
        "| 2 | somebody/stream | CC BY 3.0 | Big Buck Bunny (c) 2008 Blender Foundation / www.bigbuckbunny.org |",
        "| 1 | other/videos | CC BY 4.0 | LICENSE |",
    ):
        assert part in card


def test_a_manifest_without_licences_is_refused(tmp_path):
    bare = manifest(tmp_path / "m.csv", ["1.ts"], columns=["path"])
    with pytest.raises(TweenError, match="licence_statement"):
        write_card(
            tmp_path / "n.md", "n", ENTRY, training=TRAINING, manifests={"clips": bare}, results=[], limits=[]
        )
    assert not (tmp_path / "n.md").exists()
