"""Scripts: letters, tables, the built-in sequences and diaries, and what is said of those that cannot be read."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.infer.worlds import picture, world
from tween.core import TweenError
from tween.infer.diary import Entry, Opening, written
from tween.infer.script import read_script
from tween.infer.walk import blocks_of, walk
from tween.models.stream.actions import GTA_DRIVE, TEMPLERUN, UNIVERSAL
from tween.models.stream.timeline import block_frames

HEADER = "forward,back,left,right,vertical,horizontal"


def script(tmp_path, text, name="actions.txt", place=None):
    (tmp_path / name).write_text(text)
    return read_script(tmp_path / name, place or world())


def test_letters_are_an_action_a_block(tmp_path):
    found = script(tmp_path, "W WL # go, then turn\n\nq")
    assert found.keys[0].tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert found.mouse[0].tolist() == [[0, 0], [0, pytest.approx(0.1)], [0, 0]]
    frames = block_frames(1)
    at = found.at(1, frames, world())
    assert at.keys.shape == (1, 12, 4)
    assert (at.keys[0] == found.keys[0, 1]).all()
    assert (at.mouse[0] == found.mouse[0, 1]).all()
    assert found.covers(2, block_frames(2))
    assert not found.covers(3, block_frames(3))


def test_a_script_that_is_over_begins_again(tmp_path):
    found = script(tmp_path, "W S")
    assert [found.at(i, block_frames(i), world()).keys[0, 0, 0].item() for i in range(5)] == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("mode", [UNIVERSAL, GTA_DRIVE, TEMPLERUN])
def test_every_mode_has_a_sequence_of_its_own(mode):
    found = read_script("bench", world(mode=mode))
    assert found.keys.shape == (1, len(mode.bench), len(mode.keys))
    assert (found.keys.any(2) | found.mouse.any(2))[0].sum() >= len(mode.bench) - 1


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.integers(0, 1)] * 4, *[st.floats(-1, 1, width=32)] * 2), min_size=1, max_size=30
    ),
    header=st.booleans(),
    turn=st.permutations(range(6)),
)
def test_a_table_has_a_row_a_frame(tmp_path_factory, rows, header, turn):
    order = turn if header else range(6)
    lines = [",".join(HEADER.split(",")[i] for i in order)] if header else []
    lines += [", ".join(repr(row[i]) for i in order) for row in rows]
    found = script(tmp_path_factory.mktemp("table"), "\n".join(lines) + "\n", "a.csv")
    assert torch.equal(torch.cat((found.keys, found.mouse), 2)[0], torch.tensor(rows, dtype=torch.float32))
    assert found.covers(0, range(len(rows)))
    assert not found.covers(0, range(len(rows) + 1))


def test_columns_that_a_header_leaves_out_are_zero(tmp_path):
    found = script(tmp_path, "\ufeffhorizontal\n0.1\n\n-0.1\n", "a.csv")
    assert not found.keys.any()
    assert found.mouse[0].tolist() == [[0, pytest.approx(0.1)], [0, pytest.approx(-0.1)]]


def test_a_table_of_twenty_rows_is_a_block_and_some_rest(tmp_path):
    found, place = script(tmp_path, "horizontal\n" + "0.1\n" * 20, "a.csv"), world()
    blocks = list(walk(place.open(), place, found))
    assert [block.shown for block in blocks] == [range(9)]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "", "has none"),
        ("a.txt", "W X", "got 'X'"),
        ("a.csv", HEADER, "row of numbers for each frame"),
        ("a.csv", "forward,jump\n1,0", "should name each of forward"),
        ("a.csv", "forward,forward\n1,0", "at most once"),
        ("a.csv", "1,0,0,0,0\n", "line 1 .* 6 numbers"),
        ("a.csv", HEADER + "\n1,0,0,0,0,x", "line 2 .* 6 numbers"),
        ("a.csv", "1,0,0,0,0,nan", "line 1|name each"),
        ("a.csv", "0.1,0,0,0,0,1", "keys are 0 or 1"),
        ("a.ndjson", "{}", "expected a diary"),
        ("a.ndjson", "W", "expected a diary"),
        ("a.ndjson", "", "expected a diary"),
        ("a.ndjson", "[1]\n[2]", "expected a diary"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, name, text, says):
    with pytest.raises(TweenError, match=says) as error:
        script(tmp_path, text, name)
    assert "\n" not in str(error.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(TweenError, match="or bench"):
        read_script(tmp_path / "absent.txt", world())
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(TweenError, match="no text"):
        read_script(tmp_path / "binary", world())


def test_a_diary_brings_all_it_takes_to_live_again(tmp_path):
    place, turn = world(), (0.1234567, -1 / 3)
    turn = tuple(torch.tensor(turn).tolist())
    entries = [Entry(block_frames(0), ("forward", "left"), turn), Entry(block_frames(1), (), (0.0, 0.0))]
    text = "".join(written(place, Opening(image=picture(2), seed=7), entries, first=9))
    assert text.count("\n") == 3
    found = script(tmp_path, text, "a.ndjson")
    assert torch.equal(found.opening.image, picture(2))
    assert (found.opening.seed, found.opening.steps, found.first) == (7, None, 9)
    assert found.keys[0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]
    assert tuple(found.mouse[0, 0].tolist()) == turn
    text = "".join(written(replace(place, steps=5), Opening(image=picture(2), seed=7), entries))
    assert script(tmp_path, text, "c.ndjson").opening.steps == 5
    with pytest.raises(TweenError, match=r"64x48.* with 0 blocks"):
        script(tmp_path, text.splitlines()[0], "b.ndjson")
    with pytest.raises(TweenError, match=r"frames of 80x48, but .*64x48"):
        script(tmp_path, text, "a.ndjson", world(size=(48, 80)))
    with pytest.raises(TweenError, match="expected a diary"):
        script(tmp_path, text, "a.ndjson", world(mode=TEMPLERUN))


def test_latents_come_in_whole_blocks():
    assert blocks_of(150, world()) == 50
    for latents in (0, -3, 7, 152):
        with pytest.raises(TweenError, match=f"3 latents at a time, but got {latents}; ask for"):
            blocks_of(latents, world())


def test_150_latents_are_597_frames():
    place = world(size=(8, 16))
    blocks = list(walk(place.open(), place, read_script("bench", place), blocks_of(150, place)))
    assert sum(len(block.frames) for block in blocks) == 597
    assert blocks[5].latents == range(15, 18)
    assert blocks[5].shown == range(57, 69)
    times = [frame.time for block in blocks for frame in block.frames]
    assert times == [Fraction(2 * i, 35) for i in range(597)]
