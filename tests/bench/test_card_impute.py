"""A refiner is packed as the registry's builder reads it, and its line and table say what was measured."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from bench import card_impute
from tween.core import TweenError
from tween.models.impute.config import RELEASED, VideoConfig
from tween.models.impute.filler import released
from tween.models.impute.net import VideoRefiner
from tween.models.interp.baselines import Blend

FOUND = {
    "about": {"shots": ["a.mp4:0", "b.mp4:3"]},
    "gaps": {
        8: {
            name: {
                "psnr": {"mean": psnr, "half": 0.5},
                "gain": {"mean": gain, "half": 0.02},
                "perceptual": {"mean": 0.1, "half": None},
                "flicker": {"mean": 2.0, "half": None},
                "frechet": far,
                "each": [gain + 0.25, gain - 0.25],
            }
            for name, psnr, gain, far in (("fast", 30.0, 0.0, 0.3), ("impute", 30.125, 0.125, 0.4))
        }
    },
}


@pytest.fixture
def packed(tmp_path, monkeypatch):
    def run(config):
        net = VideoRefiner(config)
        monkeypatch.setattr(card_impute, "read_refiner", lambda path, device: net)
        monkeypatch.setattr(card_impute, "ZOO", {})  # leaves the released card alone
        (tmp_path / "eval.json").write_text(json.dumps(FOUND))
        options = (
            f"c.safetensors --eval {tmp_path}/eval.json --data {tmp_path} --gpu G --minutes 8 --commit abc"
            " --torch 2 --date 2026-01-01"
        )
        places = f"--weights {tmp_path}/w.safetensors --results {tmp_path}/r.json"
        card_impute.main([*options.split(), *places.split()])
        return net, tmp_path

    return run


def test_what_is_packed_becomes_a_filler_of_the_same_answer(packed, capsys):
    net, out = packed(replace(RELEASED, trunk=replace(RELEASED.trunk, classes=5)))
    weights = load_file(out / "w.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    filler = released(weights, Blend(), torch.device("cpu"), torch.float32)
    assert filler.net.config == net.config
    for name, value in filler.net.state_dict().items():
        torch.testing.assert_close(value, net.state_dict()[name], atol=1e-3, rtol=1e-3)
    said = capsys.readouterr().out
    assert "+0.12 dB at gaps of 8" in said
    assert f"params={sum(v.numel() for v in weights.values()):_}" in said
    assert json.loads((out / "r.json").read_text())["gaps"]["8"]["impute"]["psnr"]["mean"] == 30.125


def test_another_shape_is_refused(packed):
    with pytest.raises(TweenError, match="released shape"):
        packed(VideoConfig(channels=3, trunk=replace(RELEASED.trunk, width=24, layers=1)))


def test_the_card_holds_the_table():
    text = card_impute.measured(FOUND)
    assert "2 shots" in text
    assert "| 8 | impute | 30.12 | +0.125 ± 0.020 |" in text
    assert (
        "- Gaps of 8: more than `fast` in 1 of 2 shots, from -0.12 dB (b.mp4:3) to +0.38 (a.mp4:0). More "
        "Frechet distance (0.4 for 0.3)." in text
    )
