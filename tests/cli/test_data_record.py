"""`tween data record doom`, through the whole command."""

import pytest

from tween.cli.main import main
from tween.data.episodes import read


def test_record(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = (
        "data record doom --out ep --episodes 2 --seconds 1 --size 80x60 --workers 2 --seed 3 --kinds held"
    )
    assert main([*words.split(), "--maps", "MAP01", "MAP07"]) == 0
    assert "2 episodes, 36 frames of 80x60 at 17.5 a second in ep" in capsys.readouterr().out
    found = read(tmp_path / "ep")
    assert found.frames.shape == (2, 18, 60, 80, 3)
    assert {about["kind"] for about in found.about} == {"held"}
    assert {about["map"] for about in found.about} <= {"MAP01", "MAP07"}
    assert main(words.split()) == 2
    assert "ep is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--size", "big"), "--size should be WIDTHxHEIGHT"),
        (("--size", "64x48"), "choose one of 80x60"),
        (("--episodes", "0"), "at least 1 episode"),
        (("--seconds", "nan"), "2 frames or more"),
    ],
)
def test_mistakes_are_a_sentence(tmp_path, capsys, words, sentence):
    assert main(["data", "record", "doom", "--out", str(tmp_path / "ep"), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
