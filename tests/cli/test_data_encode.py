"""`tween data encode`: clips as shards of latents with what is said of them, and a refiner trained from these."""

import json
import shlex
import tarfile

import numpy as np
import pytest
import torch

from tests.data import made
from tests.models.impute.codecs import codec
from tween.cli.main import main
from tween.data.latents import read
from tween.engine import checkpoint
from tween.evaluate import representation
from tween.video.bulk import decode

TINY = "--device cpu --no-amp --encoder-width 8 --width 64 --layers 1 --n-classes-step 2 --n-gen-per-class 2"
FEW = "--n-pos-per-class 2 --drift-n-unc 0 --encoder-steps 1 --steps 1 --codes 2 --gaps 2"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two videos of 26 and 20 frames, the second with a cut; an autoencoder; embeddings and prompts."""
    root = tmp_path_factory.mktemp("encode")
    made.clip(root / "VIDEOS/a.avi", n=26)
    made.clip(root / "VIDEOS/b/b.avi", n=20)
    rows = ["a.avi,0,0,26,2.0", "b/b.avi,1,0,6,2.0", "b/b.avi,2,6,20,2.0"]
    head = "file,shot,start_frame,end_frame_excl,mean_flow_px"
    (root / "VIDEOS/shots.csv").write_text("\n".join([head, *rows]))
    np.save(root / "said.npy", np.arange(12, dtype=np.float32).reshape(2, 6))
    (root / "said.txt").write_text("A dog runs\nThe cat sleeps\n")
    codec(root / "codec.safetensors")
    return root


@pytest.fixture
def run(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def encode(flags):
        line = (
            f"data encode --path VIDEOS --vae codec.safetensors --frames 5 --size 32 48 --device cpu {flags}"
        )
        return main(shlex.split(line)), capsys.readouterr()

    return encode


def test_clips_within_shots_with_what_is_said_of_their_video(place, run):
    code, said = run("--out LATENTS --text said.npy --prompts said.txt --per-shard 2")
    assert (code, said.out) == (0, "8 clips of 5 frames of 32x48 in LATENTS\n")
    shards = sorted((place / "LATENTS").glob("*.tar"))
    assert [path.name for path in shards] == [f"shard-0000{i}.tar" for i in range(4)]
    with tarfile.open(shards[0]) as shard:
        assert shard.getnames()[:3] == ["00000000.latent.npy", "00000000.embed.npy", "00000000.txt"]
    found = read(place / "LATENTS")
    assert found.prompts == ("A dog runs",) * 5 + ("The cat sleeps",) * 3
    assert found.text[:, 0].tolist() == [0] * 5 + [6] * 3
    starts = [("a.avi", 5 * i) for i in range(5)] + [("b/b.avi", i) for i in (0, 6, 11)]
    for clip, (name, start) in zip(found.clips, starts, strict=True):
        frames = decode(place / "VIDEOS" / name, 36)[start : start + 5, 2:34]
        own = codec(place / "codec.safetensors").encode(
            torch.from_numpy(frames).movedim(-1, 1)[None].float() / 255
        )[0]
        assert clip.shape == (2, 4, 8, 12)
        torch.testing.assert_close(clip.float(), own[0], atol=2e-3, rtol=2e-3)


def test_a_refiner_is_trained_from_them(run, monkeypatch):
    assert run("--out TOLD --text said.npy --prompts said.txt --frames 13 --size 32 32")[0] == 0
    monkeypatch.setattr(representation, "planes", lambda *_, **__: {})
    train = f"train impute --dataset wansynth --data-path TOLD --name told {TINY} {FEW}"
    assert main(shlex.split(train)) == 0
    about = checkpoint.header("runs/told/last.safetensors")["config"]["about"]
    assert about["clips"] == 3
    assert about["each frame by itself"] is False


def test_clips_that_are_too_short_for_the_encoder_are_a_sentence(run, capsys):
    assert run("--out SHORT --samples 2 --frames 9")[0] == 0
    assert (
        main(shlex.split(f"train impute --dataset wansynth --data-path SHORT --name short {TINY} {FEW}")) == 2
    )
    assert "a clip has 3; take longer" in capsys.readouterr().err


def test_at_most_so_many_and_without_words(place, run):
    assert run("--out FEW --samples 2 --each-frame")[0] == 0
    found = read(place / "FEW")
    assert (found.clips.shape, found.text, found.prompts) == ((2, 5, 4, 8, 12), None, ("", ""))
    assert json.loads((place / "FEW/encoded.json").read_text())["each frame by itself"] is True


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--out VIDEOS", "is there already"),
        ("--out N --frames 6", "t = 1 + 4m"),
        ("--out N --frames 29", "none is long enough"),
        ("--out N --frames 0", "--frames should be at least 1"),
        ("--out N --size 30 32", "multiples of 4"),
        ("--out N --size 128 128", "a.avi has frames of 96x128"),
        ("--out N --text said.txt", "cannot be read"),
        ("--out N --text gone.npy", "cannot be read"),
        ("--out N --text one.npy", "has 1 rows"),
        ("--out N --text flat.npy", "an array of shape (4,)"),
        ("--out N --prompts gone.txt", "cannot be read"),
        ("--out N --vae none", "there is no autoencoder 'none'"),
        ("--out N --vae gone.safetensors", "there is no file"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(place, run, flags, said):
    np.save(place / "one.npy", np.zeros((1, 4)))
    np.save(place / "flat.npy", np.zeros(4))
    before = set(place.rglob("*"))
    code, told = run(flags)
    assert (code, said in told.err, told.err.count("\n")) == (2, True, 1), told.err
    assert {p for p in set(place.rglob("*")) - before if p.name != "shots.csv"} == set()
