"""`tween data shard`: from a training set or clips to shards, and from them to a trained network."""

import argparse

import pytest
import torch

from tests.data.made import folder
from tests.data.test_shards import Numbers
from tween.cli import data_shard
from tween.core import TweenError
from tween.data import DATASETS, Dataset, shards


@pytest.fixture
def shard(tmp_path):
    """Runs the subcommand; the shards go to `out`."""

    def run(*words):
        p = argparse.ArgumentParser()
        data_shard.add(p)
        return data_shard.main(p.parse_args([*map(str, words), "--out", str(tmp_path / "out")]))

    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("data"))


def test_a_set(shard, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(
        DATASETS, "numbers", Dataset(about="", check=lambda path: None, train=lambda path: Numbers())
    )
    assert shard("numbers", "--path", tmp_path, "--size", 16, 24, "--per-shard", 2) == 0
    assert "3 samples of 16x24" in capsys.readouterr().out
    found = shards.read(tmp_path / "out")
    assert [int(found.load(i).frames[0, 0, 0, 0]) for i in range(3)] == [0, 1, 2]
    assert len(found.paths) == 2


def test_clips(shard, data, tmp_path):
    words = ("--size", 64, 80, "--samples", 11, "--device", "cpu", "--workers", 1, "--raw")
    assert shard("clips", "--path", data["data"], *words) == 0
    found = shards.read(tmp_path / "out")
    assert len(found) == 11
    sample = found.load(10)
    assert sample.frames.shape == (3, 3, 64, 80)
    assert 0 < sample.t < 1
    assert sample.frames.float().std() > 10
    assert not torch.equal(sample.frames, found.load(2).frames)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "no training set 'nothing'"),
        (["triplets"], "no training set 'triplets'"),
        (["clips"], "should hold videos, but has none"),
        (["vimeo", "--samples", 0], "--samples should be at least 1"),
        (["vimeo", "--workers", 0], "--workers should be at least 1"),
    ],
)
def test_mistakes(shard, tmp_path, words, said):
    with pytest.raises(TweenError, match=said):
        shard(*words, "--path", tmp_path)
    assert not (tmp_path / "out").exists()
