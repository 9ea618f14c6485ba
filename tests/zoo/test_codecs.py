"""Autoencoders by name or file: those of training, of worlds and imported ones, told apart by their weights."""

import pytest
import torch

from tests.models.impute.codecs import codec
from tests.zoo.test_worlds import written
from tween.core import TweenError
from tween.engine import checkpoint
from tween.zoo import codecs
from tween.zoo.codecs import named, of_file, open_codec, print_of


def same(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_of_a_checkpoint_and_of_a_world(tmp_path):
    own = codec(tmp_path / "a.safetensors")
    found = open_codec(str(tmp_path / "a.safetensors"), "cpu")
    assert same(found, own)
    assert not found.training
    assert not any(p.requires_grad for p in found.parameters())
    filler = written(tmp_path / "w.safetensors", torch.rand(3, 16, 24))
    assert same(of_file(tmp_path / "w.safetensors", "cpu"), filler.codec)


def test_an_imported_one(tmp_path, monkeypatch):
    own = codec(tmp_path / "a.safetensors")
    monkeypatch.setattr(codecs, "wan_vae", lambda: own)
    assert open_codec("wan", "cpu") is own


def test_fingerprints_tell_weights_apart_and_not_their_precision(tmp_path):
    one, other = codec(tmp_path / "a.safetensors"), codec(tmp_path / "b.safetensors", seed=1)
    checkpoint.lean(tmp_path / "a.safetensors", tmp_path / "small.safetensors")
    small = of_file(tmp_path / "small.safetensors", "cpu")
    assert print_of(one) == print_of(small) == print_of(one.half())
    assert print_of(one) != print_of(other)


def test_a_file_is_written_down_so_that_it_is_found_from_anywhere(tmp_path, monkeypatch):
    codec(tmp_path / "a.safetensors")
    monkeypatch.chdir(tmp_path)
    assert named("a.safetensors") == str(tmp_path / "a.safetensors")
    assert named("wan") == "wan"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("gone.safetensors", "there is no file"),
        ("nothing", "a checkpoint of `tween train vae`"),
        ("other.safetensors", "should be a checkpoint of 'vae', but is one of net"),
        ("broken.safetensors", "cannot be read"),
    ],
)
def test_what_is_none_is_a_sentence(tmp_path, monkeypatch, wanted, said):
    monkeypatch.chdir(tmp_path)
    checkpoint.write(
        tmp_path / "other.safetensors", {"weights/net.a": torch.ones(1)}, {"config": {"configs": {"net": {}}}}
    )
    (tmp_path / "broken.safetensors").write_bytes(b"?")
    with pytest.raises(TweenError, match=said):
        open_codec(wanted, "cpu")
