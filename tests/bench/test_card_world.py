"""A world is released as it was judged."""

import argparse

import pytest

from bench import card_world
from tween.cli import train_world
from tween.recipes import world


@pytest.mark.parametrize("student", [False, True])
def test_it_is_played_as_training_judges_it(student, tmp_path, monkeypatch):
    plans = []
    monkeypatch.setattr(world, "doom", lambda out, plan: plans.append(plan))
    parser = argparse.ArgumentParser()
    train_world.add_doom(parser)
    train_world.doom(vars(parser.parse_args(["--out", str(tmp_path)])))
    asked = ["out", "--gpu", "a GPU", "--minutes", "1", "--commit", "c"] + ["--student"] * student
    judged = plans[0].few if student else plans[0].many
    assert card_world.played(card_world.parsed(asked)) == judged
    assert judged.remember > 0


def test_its_card_says_when_an_action_is_heard():
    assert any("4 frames, 0.23 s" in limit for limit in card_world.LIMITS["doom"])
