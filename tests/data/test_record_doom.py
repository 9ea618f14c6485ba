"""Doom as it is recorded: a small sample, made here by the engine itself."""

import sys

import numpy as np
import pytest
import torch

from tween.core import TweenError
from tween.data import record_doom, wad
from tween.data.episodes import DEGREES, Episodes, loaded, read, windows
from tween.data.record_doom import LIMIT, RATE, Doom, Reel, play, record, record_arrays, record_in_bulk
from tween.data.wander import Hold
from tween.models.interp.baselines import dis_flow

SMALL = Doom(seconds=2, size=(80, 60), seed=5)


@pytest.fixture(scope="module")
def sample():
    return record_arrays(SMALL, episodes=3, workers=2)


def test_episodes_are_what_they_say(sample):
    assert sample.frames.shape == (3, 35, 60, 80, 3)
    assert [about["kind"] for about in sample.about] == ["held", "mixed", "random"]
    assert all(about["map"] in wad.maps(record_doom._wad()) for about in sample.about)
    assert all(about["rate"] == "35/2" and about["seed"] == 5 for about in sample.about)
    assert sample.cuts[:, 0].all()
    assert set(np.unique(sample.keys)) == {0, 1}
    assert np.abs(sample.mouse).max() <= 0.2
    assert (sample.frames.std((2, 3, 4)) > 3).all()


def test_processes_record_the_same(sample):
    bulk = record_in_bulk(SMALL, episodes=3, processes=2)
    for name in ("frames", "keys", "mouse", "pose", "cuts"):
        assert np.array_equal(getattr(bulk, name), getattr(sample, name))
    assert bulk.about == sample.about
    assert record_in_bulk(SMALL, episodes=1, processes=4, first=2).about == sample.about[2:]


def test_nothing_is_written_into_the_picture():
    """This start is a secret of its map, and the engine would say so across the picture for the whole episode."""
    secret = record_arrays(Doom(seconds=1, maps=("MAP16", "MAP15")), episodes=1, first=13)
    red, green, blue = secret.frames[0, 5].astype(int)[25:45].reshape(-1, 3).T
    assert not ((red > 150) & (green > 70) & (blue < 60) & (red > green + 40)).any()


def test_no_item_paints_the_picture():
    """In this episode the player walks over an invulnerability sphere after 86 frames: all would be grey, inverted."""
    config = Doom(seed=1_000_003, maps=("MAP32",), seconds=6)
    frames = record_arrays(config, episodes=1, first=56).frames[0].astype(int)
    assert frames[90:].mean() < 80
    assert np.abs(frames[90:, ..., 0] - frames[90:, ..., 2]).mean() > 5


def test_an_episode_is_a_function_of_seed_and_number(sample):
    again = record_arrays(SMALL, episodes=2, workers=1, first=1)
    for name in ("frames", "keys", "mouse", "pose", "cuts"):
        assert np.array_equal(getattr(again, name), getattr(sample, name)[1:])
    assert again.about == sample.about[1:]
    other = record_arrays(Doom(seconds=2, size=(80, 60), seed=6), episodes=1)
    assert not np.array_equal(other.frames[0], sample.frames[0])


def scripted(monkeypatch, *holds, frames=6, game=lambda game: game):
    """An episode of MAP01 in which each hold lasts `frames` frames; `game` may wrap the engine."""
    script = iter([hold for hold in holds for _ in range(frames)])
    monkeypatch.setattr(record_doom, "following", lambda *args, **kwargs: next(script))
    count = frames * len(holds)
    config = Doom(seconds=float(count / RATE), size=(80, 60), seed=2, maps=("MAP01",))
    reel = Reel(
        np.empty((count, 60, 80, 3), np.uint8),
        np.empty((count, 4), np.uint8),
        np.empty((count, 2), np.float32),
        np.empty((count, 5), np.float32),
        np.empty(count, bool),
    )
    with record_doom._games(config, 1) as games:
        about = play(game(games.get()), config, 0, reel)
    return reel, about


def still(aim=0.0):
    return Hold(aim=aim)


def test_the_action_of_a_frame_leads_to_the_next(monkeypatch):
    """Where the mouse turns right the picture moves left, from the very frame of the action on, and by as much."""
    reel, _ = scripted(monkeypatch, still(), Hold(yaw=0.1), still(), Hold(yaw=-0.1), still())
    frames = torch.from_numpy(reel.frames).permute(0, 3, 1, 2) / 255
    flow_01 = dis_flow(frames[:-1], frames[1:])[0][:, 0].flatten(1).median(1).values
    right = reel.mouse[:-1, 1]
    assert (flow_01[right > 0] < -2).all()
    assert (flow_01[right < 0] > 2).all()
    assert (flow_01[right == 0].abs() < 0.1).all()
    yaw = (np.diff(reel.pose[:, 3]) + 180) % 360 - 180
    assert np.allclose(-yaw, DEGREES * right, atol=0.02)


def test_keys_walk_where_they_should(monkeypatch):
    keys = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    reel, _ = scripted(monkeypatch, *[hold for k in keys for hold in (Hold(keys=k), still())], frames=5)
    at, yaw = reel.pose[:, :2].astype(float), np.radians(reel.pose[0, 3])
    forward, left = np.array((np.cos(yaw), np.sin(yaw))), np.array((-np.sin(yaw), np.cos(yaw)))
    for i, direction in enumerate((forward, -forward, left, -left)):
        step = at[10 * i + 5] - at[10 * i]
        assert step @ direction > 15
        aside = step - (step @ direction) * direction
        assert np.hypot(*aside) < 0.4 * np.hypot(*step)  # what is left of the walk before


def test_one_looks_up_and_down_as_far_as_the_limit(monkeypatch):
    reel, _ = scripted(monkeypatch, still(24), still(-24), frames=14)
    assert reel.pose[:, 4].max() == pytest.approx(LIMIT, abs=0.1)
    assert reel.pose[:, 4].min() == pytest.approx(-LIMIT, abs=0.1)
    assert reel.mouse[8:14, 0] == pytest.approx(0.1)  # pressed on at the limit, to no effect


class Disturbed:
    """An engine to which something is said before turn `turn`."""

    def __init__(self, game, turn, command):
        self.game, self.left, self.command = game, turn, command

    def __getattr__(self, name):
        return getattr(self.game, name)

    def make_action(self, buttons, tics):
        if tics == record_doom.TICS:
            self.left -= 1
            if self.left == 0:
                self.game.send_game_command(self.command)
        return self.game.make_action(buttons, tics)


def cut_film(monkeypatch, command):
    reel, about = scripted(monkeypatch, *[still()] * 4, game=lambda game: Disturbed(game, 10, command))
    episodes = Episodes(**{k: v[None] for k, v in vars(reel).items()}, about=(about,))
    for _, first in windows(episodes, 6):
        assert not first < 10 < first + 6
    return reel, about


def test_a_death_is_a_cut_and_not_a_picture(monkeypatch):
    reel, about = cut_film(monkeypatch, "kill")
    assert np.nonzero(reel.cuts)[0].tolist() == [0, 10]
    assert about["lives"] == 2
    change = np.abs(np.diff(reel.frames.astype(float), axis=0)).mean((1, 2, 3))
    assert change[9] > 10  # another place
    assert change[:9].max() == 0  # the old life stands still to its last picture
    assert change[10:].max() < 5  # and the new one from its first, but for a light that flickers


def test_a_teleport_is_a_cut(monkeypatch):
    far = wad.starts(record_doom._wad(), "MAP01")[-1]
    reel, about = cut_film(monkeypatch, f"warp {far[0]} {far[1]}")
    assert np.nonzero(reel.cuts)[0].tolist() == [0, 10]
    assert about["lives"] == 1


def test_shards_hold_the_episodes(sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert record(tmp_path / "doom", SMALL, episodes=3, workers=2, per_shard=2) == 105
    assert sorted(path.name for path in (tmp_path / "doom").iterdir()) == ["000000.tar", "000001.tar"]
    assert [path.name for path in tmp_path.iterdir()] == ["doom"]  # and the engine left nothing behind
    found = read(tmp_path / "doom")
    assert np.array_equal(found.keys, sample.keys)
    assert np.array_equal(found.mouse, sample.mouse)
    assert [about["map"] for about in found.about] == [about["map"] for about in sample.about]
    error = (loaded(found).astype(float) - sample.frames) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 33


@pytest.mark.parametrize(
    ("config", "episodes", "sentence"),
    [
        (Doom(size=(99, 99)), 1, "frames of 99x99 cannot be recorded; choose one of 80x60"),
        (Doom(size=(160, 90)), 1, "frames of 160x90"),
        (Doom(seconds=0.05), 1, "2 frames or more"),
        (Doom(seconds=-3), 1, "2 frames or more"),
        (Doom(maps=("MAP99",)), 1, "no map 'MAP99'"),
        (Doom(kinds=("wild",)), 1, "no kind 'wild'"),
        (Doom(), 0, "at least 1 episode"),
    ],
)
def test_what_cannot_be_recorded(config, episodes, sentence):
    with pytest.raises(TweenError, match=sentence):
        record_arrays(config, episodes=episodes)


def test_without_vizdoom(monkeypatch):
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(TweenError, match=r"tween-video\[world\]"):
        record_arrays(SMALL, episodes=1)
