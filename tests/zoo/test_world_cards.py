"""Cards of worlds say what was measured, and nothing where it was not."""

import pytest

from tween.core import TweenError
from tween.zoo.cards import Training
from tween.zoo.registry import Entry
from tween.zoo.world_cards import write_world_card

WORLD = Entry(
    kind="world", summary="a place", file="p.safetensors", sha256="ab12", card="p.md", params=11_477_916
)
TRAINING = Training(
    recipe="By hand.", gpu="one NVIDIA H200", gpu_minutes=17.6, samples=554_400, commit="c0ffee"
)
ONE = {"obeyed": 0.965, "psnr": 23.456, "repeated": 19.6, "turned": 21.3}
METRICS = {
    "autoencoder": {"psnr": 31.234, "psnr_late": 30.9},
    "real": {"obeyed": 0.996, "sharpness": [820.4, 500.0], "frechet": [0.02, 0.03]},
    "judged": {
        "many": ONE | {"sharpness": [812.3, 790.1], "frechet": [0.0213, 0.0249]},
        "few": ONE | {"obeyed": 0.91, "sharpness": [900.0, 1000.0], "frechet": [1.5, 2.25]},
    },
}
WAYS = {"few": "3 steps, student", "many": "4 steps"}


def card(tmp_path, entry=WORLD, metrics=METRICS):
    path = tmp_path / "p.md"
    write_world_card(
        path, "place", entry, training=TRAINING, metrics=metrics, sampling=WAYS, limits=["Doors are shut."]
    )
    return path.read_text()


def test_a_card_of_a_world(tmp_path):
    text = card(tmp_path)
    for line in (
        "# place\n\nA place.",
        "| 11,477,916 | `p.safetensors` | Apache-2.0 | `ab12` |",
        "| 3 steps, student | 91.0 % | 23.46 | 900, 1000 | 1.50, 2.25 |",
        "| 4 steps | 96.5 % | 23.46 | 812, 790 | 0.021, 0.025 |",
        "| the real episodes | 99.6 % | | 820 | 0.02 |",
        "| those, through the autoencoder | | | 500 | 0.03 |",
        "| last frame repeated | | 19.60 | | |",
        "| last frame turned as the mouse says | | 21.30 | | |",
        "31.23 dB PSNR, 30.90 dB in the last quarter",
        "- Doors are shut.",
        "554,400 frames, 18 minutes on one NVIDIA H200, code c0ffee.",
        "Freedoom",
    ):
        assert line in text
    assert text.index("3 steps, student") < text.index("4 steps")


def test_a_card_of_an_autoencoder(tmp_path):
    entry = Entry(kind="vae", summary="latents", file="p.safetensors", sha256="ab12", card="v.md", params=3)
    text = card(tmp_path, entry, {"autoencoder": METRICS["autoencoder"]})
    assert "On held-out episodes, encoded and decoded as in a session: 31.23 dB PSNR" in text
    assert "obeys" not in text


def test_what_was_not_measured_gets_no_card(tmp_path):
    with pytest.raises(TweenError, match="'judged' is missing"):
        card(tmp_path, metrics={"autoencoder": METRICS["autoencoder"], "real": {"obeyed": 1}})
    assert not (tmp_path / "p.md").exists()
