"""A recording is a film and a diary, and the diary lives the film again."""

import json

import pytest
import torch

from tests.infer.worlds import picture, turned, world
from tests.studio.serving import served, visited
from tween.cli import generate
from tween.core import TweenError
from tween.infer.diary import Opening, entry
from tween.infer.script import read_script, spelled
from tween.infer.walk import step, walk
from tween.studio import record
from tween.studio.record import Recorder
from tween.video.read import open_reader


def decoded(path):
    with open_reader(path) as reader:
        return list(reader)


@pytest.fixture
def recorded(tmp_path):
    """A world in which every made frame is kept, the folder, and what the page saw: recorded from the middle of a
    walk that began with a picture of the player's own."""
    place, made = world(), []
    fill = place.filler.fill

    def kept(state, *rest):
        frames, after = fill(state, *rest)
        if state.block == 0:
            made.clear()
        made.extend(frames[0])
        return frames, after

    place.filler.fill = kept
    with served(tmp_path, place) as port, visited(port) as page:
        page.word("state")
        page.say("reset", seed=3)
        page.word("state")
        page.say("picture", index=2)
        page.word("state")
        page.frame(2)
        page.press("L", (40, -20))
        page.frame(10)
        page.say("record", on=True)
        assert page.word("state")["recording"]
        page.press("WJ", (-130, 77))
        page.frame(40)
        page.say("record", on=False)
        page.word("state")
    return place, tmp_path, page, made


def test_the_diary_lives_the_film_again(recorded, monkeypatch):
    place, folder, page, made = recorded
    film, diary = (folder / name for name in page.state["recorded"])
    shown = decoded(film)
    lines = diary.read_text().splitlines()
    first = json.loads(lines[0])["first"]
    assert (first - 9) % 12 == 0, "from the beginning of a block"
    assert first > 9
    assert [json.loads(line)["block"] for line in lines[1:]] == list(range(len(lines) - 1))
    assert [frame.time for frame in shown] == [i / place.rate for i in range(len(shown))]
    made = made[: first + len(shown)]

    script = read_script(diary, place)
    assert script.opening.seed == 3
    again = world()
    session = again.open(script.opening.image, script.opening.seed)
    replayed = [frame.rgb for block in walk(session, again, script) for frame in block.frames]
    assert len(replayed) == len(made)
    assert all(torch.equal(a, b) for a, b in zip(replayed, made, strict=True))
    assert turned(made[9], made[-1]) != pytest.approx(0, abs=5)

    monkeypatch.setattr(generate, "open_world", lambda *_: world())
    assert generate.main(["--actions", str(diary), "-o", str(folder / "again.mp4")]) == 0
    for a, b, frame in zip(shown, decoded(folder / "again.mp4"), made[first:], strict=True):
        assert a.time == b.time
        assert (a.rgb - frame).abs().mean() < 0.03
        assert (b.rgb - frame).abs().mean() < 0.03


def test_it_is_to_be_had_from_the_page_and_only_whole(recorded):
    _, folder, page, _ = recorded
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(page.state["recorded"])
    assert [name.rsplit(".")[-1] for name in names] == ["mp4", "ndjson"]


def test_a_page_that_leaves_leaves_its_recording_whole(tmp_path):
    with served(tmp_path) as port:
        with visited(port) as page:
            page.word("state")
            page.say("record", on=True)
            page.frame(25)
        with visited(port) as page:
            page.frame()
    film = next(tmp_path.glob("*.mp4"))
    assert len(decoded(film)) >= 12
    assert len(list(tmp_path.iterdir())) == 2


def blocks(place, words):
    session, found = place.open(), []
    for index, word in enumerate(words.split()):
        actions = spelled([word], place).at(0, session.due, place)
        block, session = step(session, place, actions, index)
        found.append((block, entry(place, block.shown, actions)))
    return found


def test_nothing_filmed_is_nothing_written(tmp_path):
    recorder = Recorder(tmp_path / "new", world(), 0)
    assert recorder.end(Opening(image=picture(), seed=0), []) == []
    assert list((tmp_path / "new").iterdir()) == []


def test_two_recordings_in_one_second(tmp_path):
    place = world()
    ((block, line),) = blocks(place, "W")
    names = set()
    for _ in range(3):
        recorder = Recorder(tmp_path, place, 0)
        recorder.write(block)
        names |= {path.name for path in recorder.end(Opening(image=picture(), seed=0), [line])}
    assert len(names) == len(list(tmp_path.iterdir())) == 6


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TweenError, match="choose another"):
        Recorder(tmp_path / "file", world(), 0)


def test_a_full_disk_ends_the_recording_and_not_the_walk(tmp_path, monkeypatch):
    def full(self, block):
        self._stack.__exit__(TweenError, TweenError("full"), None)
        raise TweenError("the disk is full")

    monkeypatch.setattr(record.Recorder, "write", full)
    with served(tmp_path) as port, visited(port) as page:
        page.frame()
        page.say("record", on=True)
        assert page.word("state")["recording"]
        assert page.word("error")["text"] == "the disk is full"
        assert not page.word("state")["recording"]
        page.frame()
    assert list(tmp_path.iterdir()) == []
