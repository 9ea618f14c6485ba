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


@pytest.mark.parametrize("flags", [[], ["--eager"]], ids=["graphs", "eager"])
def test_every_case_of_both_worlds(flags, toy, monkeypatch):
    seen = []
    velocity = StreamNet.velocity

    def counted(self, x, level, heard, looks, pictured, *args, **kwargs):
        seen.append((self.config.rule.block, pictured is not None))
        return velocity(self, x, level, heard, looks, pictured, *args, **kwargs)

    monkeypatch.setattr(StreamNet, "velocity", counted)
    stream_speed.main(["--device", "cpu", "--blocks", "2", "--sizes", "3", "1", "10", "--steps", "3", *flags])
    found = json.loads((toy / "stream_speed.json").read_text())
    assert found["eager"] is bool(flags)
    rows = found["rows"]
    assert [(r["world"], r["latents a block"], r["steps"]) for r in rows] == [
        (world, block, 3) for world in ("ours", "matrix") for block in (3, 1, 10)
    ]
    for row in rows:
        frames = 4 * row["latents a block"]
        assert row["frames a second"] == pytest.approx(1e3 * frames / row["block ms"])
        assert row["block ms"] == pytest.approx(row["network ms"] + row["decoder ms"])
        assert row["network ms"] == pytest.approx(4 * row["pass ms"])
        assert row["first frame ms"] > row["encoder ms"] > 0
        assert row["150 latents s"] > 150 // row["latents a block"] * row["block ms"] / 2e3
    early = {3: 3, 1: 5, 10: 3}  # blocks until the window is full, and the one that is captured
    assert seen == [
        (block, told)
        for told in (False, True)
        for block in (3, 1, 10)
        for _ in range(4 * (3 + early[block] + 2))  # passes of the blocks of both walks
    ]


def test_many_steps_are_timed_over_fewer_blocks(toy, monkeypatch):
    walks = []
    monkeypatch.setattr(
        stream_speed, "walked", lambda net, vae, size, sampling, blocks, eager: walks.append(blocks) or {}
    )
    stream_speed.main(["--device", "cpu", "--worlds", "ours", "--sizes", "3", "--steps", "3", "16", "50"])
    assert walks == [12, 3, 2]
    stream_speed.main(
        ["--device", "cpu", "--worlds", "ours"]
    )  # the table: each size of a block, few steps and many
    assert walks[3:] == 4 * [12] + 4 * [2]


def test_matrix_game_is_as_large_as_its_authors_say():
    with torch.device("meta"):
        net = StreamNet(stream_speed.SHAPES["matrix"].net)
    assert (net.config.width, len(net.blocks), net.config.rule.window) == (1536, 30, 6)
    h, w = stream_speed.SHAPES["matrix"].size
    assert h // 16 * (w // 16) == 880
