"""The suite at toy size: every case, with what it says being what was run."""

import json
from dataclasses import replace

import pytest
import torch

from bench import common, stream_speed
from tests.models.stream.toy import config
from tween.models.stream.net.net import StreamNet
from tween.nn.vae import WanConfig

VAE = WanConfig(
    latent=2, width=4, decoder_width=4, multipliers=(1, 1, 1), blocks=1, time=(True, True), patch=2
)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    small = {"vae": VAE, "size": (32, 48)}
    ours = replace(stream_speed.SHAPES["ours"], net=config(), **small)
    matrix = replace(stream_speed.SHAPES["matrix"], net=config(context=8), **small)
    monkeypatch.setattr(stream_speed, "SHAPES", {"ours": ours, "matrix": matrix})
    return tmp_path


def test_every_case_of_both_worlds(toy, monkeypatch):
    seen = []
    forward = StreamNet.forward

    def counted(self, *args, **kwargs):
        seen.append((self.config.rule.block, kwargs.get("context") is not None))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(StreamNet, "forward", counted)
    monkeypatch.setattr(
        stream_speed, "CASES", [(3, stream_speed.FEW), (1, stream_speed.FEW), (10, stream_speed.FEW)]
    )
    stream_speed.main(["--device", "cpu", "--blocks", "2"])
    rows = json.loads((toy / "stream_speed.json").read_text())["rows"]
    assert [(r["world"], r["latents a block"], r["steps"]) for r in rows] == [
        (world, block, 3) for world in ("ours", "matrix") for block in (3, 1, 10)
    ]
    for row in rows:
        frames = 4 * row["latents a block"]
        assert row["frames a second"] == pytest.approx(1e3 * frames / row["block ms"])
        assert row["block ms"] == pytest.approx(row["network ms"] + row["decoder ms"])
        assert row["network ms"] == pytest.approx(4 * row["pass ms"])
        assert row["first frame ms"] > row["encoder ms"] > 0
    each = 4 * (3 + 1 + 2)  # passes of the blocks of both walks
    assert seen == [(block, told) for told in (False, True) for block in (3, 1, 10) for _ in range(each)]


def test_many_steps_are_timed_over_fewer_blocks(toy, monkeypatch):
    walks = []
    monkeypatch.setattr(
        stream_speed, "walked", lambda net, vae, size, sampling, blocks: walks.append(blocks) or {}
    )
    stream_speed.main(["--device", "cpu", "--blocks", "12", "--worlds", "ours"])
    assert walks == [12, 3, 2, 12, 12, 12]


def test_matrix_game_is_as_large_as_its_authors_say():
    with torch.device("meta"):
        net = StreamNet(stream_speed.SHAPES["matrix"].net)
    assert (net.config.width, len(net.blocks), net.config.rule.window) == (1536, 30, 6)
    h, w = stream_speed.SHAPES["matrix"].size
    assert h // 16 * (w // 16) == 880
