"""Refiners of latents: trained from videos, then used as any model is; and what is said where that cannot be."""

import shlex

import numpy as np
import pytest
import torch

from tests.data import layouts, made
from tests.models.impute.codecs import codec
from tween.cli.main import main
from tween.engine.checkpoint import read
from tween.evaluate import representation
from tween.evaluate.models import ready
from tween.models.impute.framewise import encoded
from tween.recipes import impute_video
from tween.video.images import load
from tween.video.read import open_reader

TINY = "--device cpu --no-amp --encoder-width 8 --width 64 --layers 1 --n-classes-step 2 --n-gen-per-class 2"
FEW = "--n-pos-per-class 2 --drift-n-unc 0 --encoder-steps 1 --steps 3 --lr 0.05 --image-size 16 --codes 2"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Videos, an autoencoder, and a refiner of its latents in runs/impute."""
    root = tmp_path_factory.mktemp("latents")
    made.clip(root / "CLIPS/a.avi", n=30)
    head = "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
    (root / "CLIPS/shots.csv").write_text(f"{head}a.avi,0,0,30,2.0\n")
    codec(root / "codec.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(representation, "planes", lambda *_, **__: {})
        line = "train impute --dataset clips --data-path CLIPS --frames 9 --gaps 2 4 --interp-mode nearest"
        latent = "--input-space latent --vae codec.safetensors --objective both"
        assert main(shlex.split(f"{line} {latent} {TINY} {FEW}")) == 0
    return root


@pytest.fixture
def tween(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def run(line):
        code = main(shlex.split(f"{line} --device cpu"))
        return code, capsys.readouterr()

    return run


def test_a_storyboard_is_refined_in_latents_and_its_pictures_stay(place, tween):
    layouts.board(place / "board.json")
    assert tween("fill board.json --model impute -o out_%d.png")[0] == 0
    assert tween("fill board.json --model impute -o draft_%d.png --draft")[0] == 0
    same = {}
    for number in range(5):
        whole, draft = (load(place / f"{kind}_{number + 1}.png") for kind in ("out", "draft"))
        same[number] = np.array_equal(whole, draft)
        if number % 2 == 0:
            own = load(place / f"{number // 2}.png")
            assert np.array_equal(draft, own)
            assert np.array_equal(whole, own) == (number != 2)  # the second was proposed
        else:  # the draft is what filled in training
            assert np.array_equal(draft, load(place / f"{number // 2}.png"))
    assert same == {0: True, 1: False, 2: False, 3: False, 4: True}


def test_a_sparse_video_is_filled(place, tween):
    layouts.video(place / "sparse.mp4", n=3)
    code, said = tween("interpolate sparse.mp4 -o full.mkv --factor 4 --model impute --codec ffv1")
    assert (code, "(3 of them the source's own)" in said.out) == (0, True)
    with open_reader(place / "full.mkv") as reader:
        assert len(list(reader)) == 12


def test_training_shows_what_use_does(place):
    """The very latents: every frame encoded by itself after pictures were filled, keyframes as they are."""
    vae = codec(place / "codec.safetensors")
    frames = torch.randint(0, 256, (6, 9, 3, 16, 24)).byte()
    clips = impute_video.latent_clips(frames, str(place / "codec.safetensors"), "cpu")
    assert clips.samples.shape == (6, 9, 4, 4, 6)
    alone = vae.encode(frames[2:3, 5:6].float() / 255)[0]
    torch.testing.assert_close(clips.samples[2:3, 5:6].float(), alone, atol=2e-3, rtol=2e-3)
    keys = impute_video.Keys(counts=[3], fill=impute_video.coarse("linear"))
    dealing = impute_video.Dealing(classes=2, generated=2, positives=1, anything=0)
    batch = impute_video.keyframes(
        clips.samples, torch.arange(6) % 2, classes=2, dealing=dealing, keys=keys, shown=clips.shown
    )(0)
    rows = [int((clips.samples == x.half()).flatten(1).all(1).nonzero()) for x in batch.truth]
    filled = impute_video.coarse("linear")(frames[rows].float() / 255, batch.known)
    torch.testing.assert_close(batch.coarse, encoded(vae, filled), atol=2e-3, rtol=2e-3)
    assert torch.equal(batch.coarse[batch.known], batch.truth[batch.known])


def test_the_refiner_knows_its_tiles_and_its_autoencoder(place, monkeypatch):
    monkeypatch.chdir(place)
    filler = ready("impute", device="cpu")
    assert filler.net.config.side == 4
    assert filler.multiple == 8
    about = read(place / "runs/impute/last.safetensors")[1]["config"]["about"]
    assert about["autoencoder"] == str(place / "codec.safetensors")


def test_another_autoencoder_or_none_is_a_sentence(place, tween):
    layouts.board(place / "board.json")
    path, line = place / "codec.safetensors", "fill board.json --model impute -o never_%d.png"
    try:
        codec(path, seed=1)
        code, said = tween(line)
        assert (code, "of another autoencoder than" in said.err, said.err.count("\n")) == (2, True, 1)
        path.unlink()
        code, said = tween(line)
        assert (code, "there is no file" in said.err, said.err.count("\n")) == (2, True, 1)
    finally:
        codec(path)


@pytest.mark.parametrize(
    ("vae", "words"),
    [("wan", "tween models import wan-vae"), ("nothing", "there is no autoencoder 'nothing'")],
)
def test_an_autoencoder_that_is_not_there_is_a_sentence(tween, tmp_path, monkeypatch, vae, words):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    line = f"train impute --dataset clips --data-path CLIPS --input-space latent --vae {vae} --image-size 16"
    code, said = tween(line)
    assert (code, words in said.err, said.err.count("\n")) == (2, True, 1)
