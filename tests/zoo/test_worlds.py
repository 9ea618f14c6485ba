"""Worlds in a file: written, opened, and walked in as before; and what is said where there is none."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from importlib import import_module

import pytest
import torch
from safetensors.torch import load_file, save_file

import tween
from tests.infer.worlds import world
from tween.cli.main import main
from tween.core import TweenError
from tween.infer import session
from tween.models.stream.actions import GTA_DRIVE, TEMPLERUN, UNIVERSAL
from tween.models.stream.config import ActionConfig, Rule, StreamConfig
from tween.models.stream.filler import StreamFiller
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, even
from tween.nn.vae import WanConfig, WanVAE
from tween.zoo import ZOO, Entry, fillers, load
from tween.zoo.worlds import in_steps, load_codec, load_world, open_world, save_world, worlds

ACTION = ActionConfig(layers=1, width=16, heads=2, embed=8, modulate=True)
NET = StreamConfig(
    width=32, layers=1, heads=2, ffn=32, action=ACTION, rule=Rule(block=2, window=5, sink=1), patch=1
)
VAE = WanConfig(width=8, decoder_width=8, multipliers=(1, 1, 1), blocks=1, time=(True, True), patch=2)
RATE = Fraction(35, 2)


@pytest.fixture
def picture():
    return (torch.rand(3, 16, 24) * 255).round() / 255


def written(path, picture, mode=UNIVERSAL, sampling=None):
    torch.manual_seed(0)
    net, vae = StreamNet(replace(NET, mode=mode)).eval(), WanVAE(VAE).eval()
    for weight in net.parameters():  # its last layer begins as 0
        torch.nn.init.normal_(weight, std=0.1)
    sampling = sampling or Sampling(steps=(1000, 500))
    save_world(path, net, vae, sampling, name="tiny", rate=RATE, pictures=[picture, picture.flip(-1)])
    return StreamFiller(net, vae, sampling)


@pytest.mark.parametrize("mode", [UNIVERSAL, GTA_DRIVE, TEMPLERUN])
def test_a_world_from_a_file_is_the_one_that_was_written(tmp_path, picture, mode):
    sampling = even(2) if mode is GTA_DRIVE else None
    filler = written(tmp_path / "a.safetensors", picture, mode, sampling)
    place = load_world(tmp_path / "a.safetensors", "cpu")
    assert (place.name, place.rate, place.size, place.block, place.mode) == ("tiny", RATE, (16, 24), 2, mode)
    assert (place.filler.net.config, place.filler.codec.config) == (filler.net.config, VAE)
    assert place.filler.sampling == filler.sampling
    assert torch.equal(torch.stack(place.pictures), torch.stack([picture, picture.flip(-1)]))
    here, before = place.open(seed=4), session.open(filler, picture, 4, rate=RATE)
    for letters in ("W", "S"):
        action = place.read(letters)
        told = place.actions(*(x.expand(-1, len(here.due), -1) for x in (action.keys, action.mouse)))
        (made, here), (expected, before) = here.step(told), before.step(told)
        assert torch.equal(made.frames, expected.frames)
    assert made.times[-1] == 12 / RATE


def test_a_session_of_a_real_world_is_kept_in_a_file(tmp_path, picture):
    written(tmp_path / "a.safetensors", picture)
    place = load_world(str(tmp_path / "a.safetensors"), "cpu")
    _, here = place.open().step()
    here.save(tmp_path / "here")
    back = session.load(tmp_path / "here", place.filler)
    fork = here.fork()
    frames = [one.step()[0].frames for one in (here, back, fork)]
    assert torch.equal(frames[0], frames[1])
    assert torch.equal(frames[0], frames[2])


def test_a_world_is_found_by_name_or_file(tmp_path, picture):
    written(tmp_path / "a.safetensors", picture)
    known = {"first": lambda device: world(), "second": lambda device: world(pictures=1)}
    assert len(open_world(None, known=known).pictures) == 3
    assert len(open_world("second", known=known).pictures) == 1
    assert open_world(str(tmp_path / "a.safetensors"), "cpu", known).name == "tiny"


def test_a_world_in_fewer_steps(tmp_path, picture):
    written(tmp_path / "a.safetensors", picture, sampling=even(4, shift=2.0, remember=0.1))
    own = load_world(tmp_path / "a.safetensors", "cpu")
    quick = in_steps(own, 2)
    assert (quick.filler.sampling, quick.steps) == (even(2, shift=2.0, remember=0.1), 2)
    assert in_steps(own, None) is own
    made = [w.open(seed=3).step()[0].frames for w in (own, in_steps(own, 4), quick)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    for steps in (0, 1001):
        with pytest.raises(TweenError, match=f"1 to 1000 steps, but got --steps {steps}"):
            in_steps(own, steps)
    written(tmp_path / "b.safetensors", picture)
    distilled = load_world(tmp_path / "b.safetensors", "cpu")
    with pytest.raises(TweenError, match="leave --steps out"):
        in_steps(distilled, 2)


def test_where_there_is_none_a_sentence_says_what_to_pass():
    with pytest.raises(
        TweenError, match=r"^there is no world 'c'; choose a, b, or pass the file of one"
    ) as error:
        open_world("c", known={"a": world, "b": world})
    assert "\n" not in str(error.value)
    with pytest.raises(TweenError, match="choose doom, or pass"):
        open_world("absent")


def test_released_worlds_open():
    for name, opened in worlds().items():
        assert opened("cpu").name == name


@pytest.fixture
def released(tmp_path, picture, monkeypatch):
    """A tiny world among the zoo's entries, and its autoencoder, in one file."""
    path = tmp_path / "tiny.safetensors"
    filler = written(path, picture)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    common = {"summary": "a tiny one", "file": path.name, "sha256": digest, "card": "tiny.md", "params": 1}
    monkeypatch.setitem(ZOO, "tiny", Entry(kind="world", **common))
    monkeypatch.setitem(ZOO, "tiny-vae", Entry(kind="vae", **common))
    monkeypatch.setattr("tween.zoo.worlds.WEIGHTS", tmp_path)
    monkeypatch.setattr(import_module("tween.zoo.load"), "WEIGHTS", tmp_path)
    return path, filler


def test_a_released_world_is_found_and_checked(released):
    path, _ = released
    assert open_world("tiny", "cpu").name == "tiny"
    assert tween.world("tiny", device="cpu").name == "tiny"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(TweenError, match="should have the SHA-256"):
        open_world("tiny", "cpu")
    path.unlink()
    with pytest.raises(TweenError, match=r"tiny\.safetensors should be at"):
        open_world("tiny", "cpu")


def test_its_autoencoder_is_an_entry_of_its_own(released):
    _, filler = released
    codec, own = load_codec("tiny-vae", "cpu").state_dict(), filler.codec.state_dict()
    assert all(torch.equal(codec[key], own[key]) for key in own)
    with pytest.raises(TweenError, match=r"there is no autoencoder 'tiny'; choose one of .*tiny-vae"):
        load_codec("tiny", "cpu")


def test_what_fills_frames_is_asked_for_by_those_names_alone(released):
    assert "tiny" not in fillers()
    assert "tiny-vae" not in fillers()
    for name, kind in (("tiny", "world"), ("tiny-vae", "vae")):
        with pytest.raises(
            TweenError, match=f"{name} is a {kind}, which fills nothing between frames; choose one of"
        ):
            load(name, device="cpu")


def test_commands_show_worlds_and_do_not_fill_with_them(released, capsys, tmp_path):
    assert main(["models", "--json"]) == 0
    kinds = {row["name"]: row["kind"] for row in json.loads(capsys.readouterr().out)}
    assert (kinds["tiny"], kinds["tiny-vae"], kinds["fast"]) == ("world", "vae", "interp")
    assert main(["doctor"]) in (0, 1)  # whatever else this machine lacks
    assert "tiny: sha256" in capsys.readouterr().out
    assert (
        main(
            ["generate", "--world", "tiny", "--blocks", "1", "--device", "cpu", "-o", str(tmp_path / "o.mp4")]
        )
        == 0
    )


def test_a_file_that_is_no_world(tmp_path, picture):
    written(tmp_path / "a.safetensors", picture)
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_text("W A S D")
    (tmp_path / "empty").touch()
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights")
    tensors = load_file(tmp_path / "a.safetensors")
    tensors.pop(next(name for name in tensors if name.startswith("net.")))
    about = whole[8 : 8 + int.from_bytes(whole[:8], "little")].decode()
    save_file(tensors, tmp_path / "less", json.loads(about)["__metadata__"])
    for name in ("cut", "text", "empty", "weights", "less"):
        with pytest.raises(TweenError, match="expected a world, but") as error:
            load_world(tmp_path / name, "cpu")
        assert "\n" not in str(error.value)


def test_the_library_opens_a_world(tmp_path, picture):
    written(tmp_path / "a.safetensors", picture)
    place = tween.world(tmp_path / "a.safetensors", device="cpu")
    here = place.open(picture, seed=1)
    clip, here = here.step(place.hold("WL", len(here.due)))
    assert clip.frames.shape == (1, 5, 3, 16, 24)
    assert here.due == range(5, 13)
