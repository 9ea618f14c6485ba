"""Refiners of latents: trained from videos, then used as any model is; and what is said where that cannot be."""

import shlex
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.data import layouts, made
from tests.models.impute.codecs import codec
from tween.cli.main import main
from tween.engine.checkpoint import read, write
from tween.evaluate import representation
from tween.evaluate.models import ready
from tween.models.impute.corrupt import none
from tween.models.impute.fills import slerp
from tween.models.impute.framewise import decoded, encoded
from tween.recipes import impute_video
from tween.video.images import load
from tween.video.read import open_reader

TINY = "--device cpu --no-amp --encoder-width 8 --width 64 --layers 1 --n-classes-step 2 --n-gen-per-class 2"
FEW = "--n-pos-per-class 2 --drift-n-unc 0 --encoder-steps 1 --steps 3 --lr 0.05 --image-size 16 --codes 2"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Videos, an autoencoder, and a refiner of its latents in runs/mine."""
    root = tmp_path_factory.mktemp("latents")
    made.clip(root / "CLIPS/a.avi", n=30)
    head = "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
    (root / "CLIPS/shots.csv").write_text(f"{head}a.avi,0,0,30,2.0\n")
    codec(root / "codec.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(representation, "planes", lambda *_, **__: {})
        line = "train impute --name mine --dataset clips --data-path CLIPS --frames 9 --gaps 2 4 --interp-mode nearest"
        latent = "--input-space latent --vae codec.safetensors --objective both"
        assert main(shlex.split(f"{line} {latent} {TINY} {FEW} --gaps 4")) == 0
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
    assert tween("fill board.json --model mine -o out_%d.png")[0] == 0
    assert tween("fill board.json --model mine -o draft_%d.png --draft")[0] == 0
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
    code, said = tween("interpolate sparse.mp4 -o full.mkv --factor 4 --model mine --codec ffv1")
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
    filler = ready("mine", device="cpu")
    assert filler.net.config.side == 4
    assert filler.multiple == 8
    about = read(place / "runs/mine/last.safetensors")[1]["config"]["about"]
    assert about["autoencoder"] == str(place / "codec.safetensors")


def test_the_recipe_of_the_released_refiner_in_latents(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(representation, "planes", lambda *_, **__: {})
    rows = [f"a.avi,{i},{i},{i + 15},2.0" for i in range(3)]
    (place / "SHOTS").mkdir()
    (place / "SHOTS/a.avi").write_bytes((place / "CLIPS/a.avi").read_bytes())
    head = "file,shot,start_frame,end_frame_excl,mean_flow_px"
    (place / "SHOTS/shots.csv").write_text("\n".join([head, *rows]))
    line = "train impute --dataset gaps --data-path SHOTS --packed PACKED --cuts 4 --hold-out 3 --interp-mode linear"
    latent = "--input-space latent --vae codec.safetensors --name gaps"
    assert main(shlex.split(f"{line} {latent} {TINY} {FEW} --gaps 4")) == 0
    filler = ready("gaps", device="cpu")
    config = filler.net.config
    assert (config.channels, config.side, config.calm, config.mix) == (4, 4, 0, 0)
    assert filler.codec is not None
    assert filler.within is None


def test_another_autoencoder_or_none_is_a_sentence(place, tween):
    layouts.board(place / "board.json")
    path, line = place / "codec.safetensors", "fill board.json --model mine -o never_%d.png"
    try:
        codec(path, seed=1)
        code, said = tween(line)
        assert (code, "of another autoencoder than" in said.err, said.err.count("\n")) == (2, True, 1)
        path.unlink()
        code, said = tween(line)
        assert (code, "there is no file" in said.err, said.err.count("\n")) == (2, True, 1)
    finally:
        codec(path)


@pytest.fixture(scope="module")
def encoded_clips(place):
    """Refiners of shards: `alone` of single frames and their text, `strided` of several frames a latent."""
    np.save(place / "said.npy", np.ones((1, 5), np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(representation, "planes", lambda *_, **__: {})
        for name, flags in (("alone", "--frames 9 --each-frame"), ("strided", "--frames 13")):
            encode = (
                f"data encode --path CLIPS --vae codec.safetensors --out {name} --text said.npy --size 16 16"
            )
            assert main(shlex.split(f"{encode} {flags} --device cpu")) == 0
            train = (
                f"train impute --dataset wansynth --data-path {name} --name {name} --gaps 2 --objective both"
            )
            assert main(shlex.split(f"{train} --interp-mode slerp --corrupt-mode gauss {TINY} {FEW}")) == 0
    return place


def test_a_refiner_of_shards_fills_as_it_learned_and_hears_text(encoded_clips, tween):
    layouts.board(encoded_clips / "board.json")
    assert tween("fill board.json --model alone -o alone_%d.png")[0] == 0
    assert tween("fill board.json --model alone -o told_%d.png --text said.npy")[0] == 0
    for number in (1, 5):
        assert np.array_equal(
            load(encoded_clips / f"told_{number}.png"), load(encoded_clips / f"{number // 2}.png")
        )
    assert not np.array_equal(load(encoded_clips / "alone_2.png"), load(encoded_clips / "told_2.png"))
    filler = ready("alone", device="cpu")
    with torch.no_grad():
        filler.net.ends.leave.weight.zero_()
        filler.net.ends.leave.bias.zero_()
    assert filler.within is slerp
    torch.testing.assert_close(filler.noise(torch.ones(1, 2)), torch.full((1, 2), 0.1))
    filler.noise = none
    keys = torch.rand(1, 4, 3, 16, 16)
    at, ask = [Fraction(i) for i in range(4)], [Fraction(3, 2)]
    made = filler.fill(filler.begin(keys[:, 0].shape, seed=0, device="cpu", dtype=keys.dtype), keys, at, ask)[
        0
    ]
    latents = encoded(filler.codec, keys)
    lost = keys - decoded(filler.codec, latents)
    known = torch.tensor([[True, False, True]])
    middle = [slerp(x[:, [1, 1, 2]], known, [1, 1.5, 2])[:, 1:2] for x in (latents, lost)]
    torch.testing.assert_close(made, (decoded(filler.codec, middle[0]) + middle[1]).clamp(0, 1))


def test_latents_of_several_frames_are_refused_in_a_sentence(encoded_clips, tween):
    code, said = tween("fill board.json --model strided -o never_%d.png")
    assert (code, "refines latents of several frames each" in said.err, said.err.count("\n")) == (2, True, 1)
    line = f"train impute --dataset wansynth --data-path strided --interp-mode fast {TINY} {FEW}"
    assert main(shlex.split(line)) == 2


def test_a_refiner_of_single_pictures_is_refused_in_a_sentence(place, tween):
    layouts.board(place / "board.json")
    config = {"configs": {"refiner": {"grid": [8, 8], "values": 48}}}
    write(place / "still.safetensors", {"weights/refiner.a": torch.ones(1)}, {"config": config})
    code, said = tween("fill board.json --model still.safetensors -o never_%d.png")
    assert (code, "need a refiner of clips" in said.err, said.err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(
    ("vae", "words"),
    [("wan", "tween models import wan-vae"), ("nothing", "there is no autoencoder 'nothing'")],
)
def test_an_autoencoder_that_is_not_there_is_a_sentence(tween, tmp_path, monkeypatch, vae, words):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    line = f"train impute --dataset clips --data-path CLIPS --input-space latent --vae {vae} --image-size 16"
    code, said = tween(line)
    assert (code, words in said.err, said.err.count("\n")) == (2, True, 1)
