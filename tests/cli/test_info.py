"""`tween info`: the plan's numbers on the screen and as JSON."""

import json

import pytest

from tween.cli.info import main
from tween.core import TweenError


def test_thesis_prints_both_totals(capsys):
    assert main(["thesis", "--height", "64", "--width", "64"]) == 0
    out = capsys.readouterr().out
    assert "1,256,064" in out
    assert "8,998,923" in out
    assert "1,039,612" in out


@pytest.mark.parametrize("preset", ["thesis", "fast", "quality"])
def test_json_adds_up(preset, capsys):
    assert main([preset, "--height", "100", "--width", "120", "--precision", "bf16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["preset"], found["height"], found["width"]) == (preset, 100, 120)
    for phase in found["phases"].values():
        for key in ("parameters", "flops"):
            total = phase[key].pop("total")
            assert total == sum(phase[key].values()) > 0
        assert phase["flops"]["ssd"] > 0
        assert phase["peak_bytes"] > 2 * sum(phase["parameters"].values())


@pytest.mark.parametrize("argv", [["thesiss"], ["fast", "--height", "0"], ["fast", "--width", "-3"]])
def test_mistakes_are_told_in_a_sentence(argv):
    with pytest.raises(TweenError):
        main(argv)
