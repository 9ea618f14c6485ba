"""`tween generate`: from letters, tables and sequences to a film."""

from dataclasses import replace

import pytest
import torch

from tests.infer.worlds import picture, turned, world
from tween.cli import generate
from tween.cli.main import main
from tween.infer.diary import Entry, Opening, written
from tween.video.read import open_reader, probe
from tween.video.still import png


@pytest.fixture
def out(tmp_path, monkeypatch):
    """Where to write; the world is the synthetic one."""
    monkeypatch.setattr(generate, "open_world", lambda *_: world())
    return tmp_path / "out.mp4"


def film(path):
    with open_reader(path) as reader:
        return list(reader)


def run(out, *argv):
    return main(["generate", "-o", str(out), *argv])


def test_letters_become_a_film(out, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("Q L J\n")
    assert run(out, "--actions", str(tmp_path / "a.txt"), "-v") == 0
    frames = film(out)
    assert [frame.time for frame in frames] == [i / world().rate for i in range(33)]
    assert turned(frames[0].rgb, frames[9].rgb) == pytest.approx(0, abs=2)
    assert turned(frames[9].rgb, frames[21].rgb) == pytest.approx(30, abs=2)
    assert turned(frames[21].rgb, frames[32].rgb) == pytest.approx(-27.5, abs=2)
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "block 0: latents 0-2, frames 0-8",
        "block 1: latents 3-5, frames 9-20",
        "block 2: latents 6-8, frames 21-32",
    ]
    assert said[3].startswith(f"{out}: 33 frames, 1.9 s, made in")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "out.mp4"]


def test_a_table_of_every_frame(out, tmp_path):
    (tmp_path / "a.csv").write_text("horizontal\n" + "0.1\n" * 9 + "-0.05\n" * 12)
    assert run(out, "--actions", str(tmp_path / "a.csv")) == 0
    frames = film(out)
    assert len(frames) == 21
    assert turned(frames[0].rgb, frames[9].rgb) == pytest.approx(22.5, abs=2)
    assert turned(frames[9].rgb, frames[20].rgb) == pytest.approx(-13.75, abs=2)


@pytest.mark.parametrize(
    ("flags", "count"), [(["--blocks", "2"], 21), (["--latents", "12"], 45), ([], 9 + 17 * 12)]
)
def test_how_long(out, flags, count):
    assert run(out, *flags) == 0
    assert len(film(out)) == count


def test_the_same_seed_gives_the_same_film_and_another_another(out, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(tmp_path / f"{name}.mp4", "--blocks", "1", "--seed", seed) == 0
    a, b, c = (torch.stack([frame.rgb for frame in film(tmp_path / f"{name}.mp4")]) for name in "abc")
    assert (a - b).abs().mean() < 0.002, "x264 rounds equal frames a little differently now and then"
    assert (a - c).abs().mean() > 0.05


def test_steps_of_the_flag_come_before_those_of_the_diary(out, tmp_path, monkeypatch):
    place, asked = world(), []
    monkeypatch.setattr(generate, "in_steps", lambda world, steps: (asked.append(steps), world)[1])
    opening, entries = Opening(image=picture(2), seed=7), [Entry(range(9), (), (0.0, 0.0))]
    (tmp_path / "a.ndjson").write_text("".join(written(replace(place, steps=5), opening, entries)))
    for flags in ([], ["--steps", "0"]):
        assert run(out, "--actions", str(tmp_path / "a.ndjson"), "-y", *flags) == 0
    assert run(out, "--blocks", "1", "-y") == 0
    assert asked == [5, 0, None]


def test_a_picture_to_begin_with(out, tmp_path, monkeypatch):
    place, seen = world(), []
    fill = place.filler.fill
    place.filler.fill = lambda state, known, *rest: (seen.append(known[0, 0]), fill(state, known, *rest))[1]
    monkeypatch.setattr(generate, "open_world", lambda *_: place)
    (tmp_path / "a.png").write_bytes(png(picture(4)))
    assert run(out, "--blocks", "1", "--image", str(tmp_path / "a.png")) == 0
    assert (seen[0] == picture(4)).all()


def test_at_60_frames_a_second_with_keys(out):
    assert run(out, "--blocks", "2", "--fps", "60", "--model", "blend", "--overlay") == 0
    frames = film(out)
    assert probe(out).rate == 60
    assert [round(frame.time * 60) for frame in frames] == list(range(len(frames)))
    assert len(frames) == 72, "21 frames of 2/35 s"
    amber = (frames[0].rgb[0] - frames[0].rgb[2])[34:, :20]
    assert amber.max() > 0.4


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--actions", "absent.txt"], "or bench for the built-in"),
        (["--blocks", "0"], "at least 1, but got 0"),
        (["--blocks", "1", "--latents", "3"], "one of --blocks and --latents"),
        (["--latents", "10"], "3 latents at a time, but got 10; ask for 9"),
        (["--fps", "10"], "at least the world's own 17.5"),
        (["--fps", "fast"], "--fps should be a number"),
        (["--image", "absent.png"], "there is no such file"),
        (["--model", "doom", "--fps", "60"], "doom is a world, which fills nothing"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(out, argv, says, capsys):
    assert run(out, *argv) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert list(out.parent.iterdir()) == []


def test_a_world_that_is_not_there(tmp_path, capsys):
    assert main(["generate", "--world", "absent", "-o", str(tmp_path / "a.mp4")]) == 2
    assert "there is no world 'absent'; choose doom" in capsys.readouterr().err
