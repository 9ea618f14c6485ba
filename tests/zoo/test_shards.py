"""Weights in one file and in several."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tween.core import TweenError
from tween.zoo.load import read
from tween.zoo.shards import digest, parts, split


@pytest.fixture
def weights(tmp_path):
    """Five tensors of 400 bytes, and the file that holds them."""
    tensors = {f"layer{i}": torch.full((100,), float(i)) for i in range(5)}
    path = tmp_path / "net.safetensors"
    save_file(tensors, path, {"about": "a net"})
    return tensors, path


def test_shards_hold_what_the_file_held(weights):
    tensors, path = weights
    made = split(path, limit=1000)
    assert [part.name for part in made] == [f"net-{i}-of-3.safetensors" for i in (1, 2, 3)]
    assert not path.exists()
    assert parts(path) == made
    found = read(path, digest(path))
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    for part in made:
        with safe_open(part, "pt") as file:
            assert file.metadata() == {"about": "a net"}


def test_a_small_file_stays_and_old_shards_go(weights):
    tensors, path = weights
    split(path, limit=1000)
    save_file({"layer": tensors["layer0"]}, path)
    assert split(path, limit=1000) == [path] == parts(path)
    assert [p.name for p in path.parent.iterdir()] == ["net.safetensors"]


def test_what_is_missing_is_said(weights):
    _, path = weights
    split(path, limit=1000)[1].unlink()
    with pytest.raises(TweenError, match="2 of their 3 files"):
        digest(path)
    with pytest.raises(TweenError, match="are not there"):
        parts(path.with_name("other.safetensors"))


def test_other_shards_are_refused(weights):
    _, path = weights
    released = digest(path)
    made = split(path, limit=1000)
    with pytest.raises(TweenError, match="SHA-256"):
        read(path, released)
    good = digest(path)
    data = bytearray(made[2].read_bytes())
    data[-1] ^= 1
    made[2].write_bytes(data)
    with pytest.raises(TweenError, match="SHA-256"):
        read(path, good)
