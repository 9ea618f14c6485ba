"""Keyframes are shown where they were put, whatever fills in; proposed ones change only if a filler refines."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.infer.fakes import Linear
from tests.infer.refining import Refining
from tween.core import TweenError
from tween.infer.storyboard import Keyframes, placed, storyboard
from tween.infer.tile import Tiled

RATES = st.sampled_from([Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(1), Fraction(7, 3)])
PICTURES = torch.rand(12, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def board(times, given=None, pictures=PICTURES):
    return Keyframes(times=tuple(times), load=pictures.__getitem__, given=given or (True,) * len(times))


@st.composite
def times_and_rate(draw):
    """Increasing times, far enough apart to have a frame each."""
    rate = draw(RATES)
    steps = draw(st.lists(st.fractions(1, 9, max_denominator=1000), min_size=1, max_size=8))
    times = [draw(st.fractions(-5, 5, max_denominator=1000))]
    for step in steps:
        times.append(times[-1] + (step + Fraction(1, 100)) / rate)
    return times, rate


@settings(max_examples=60, deadline=None)
@given(times_and_rate(), st.sampled_from([(1, 1), (2, 2), (3, 1), (1, 4)]))
def test_every_keyframe_is_shown_in_the_nearest_frame(drawn, sight):
    times, rate = drawn
    at = placed(times, rate)
    filler = Tiled(Linear(past=sight[0], future=sight[1], multiple=8))
    frames = list(storyboard(board(at), rate, filler))
    assert [frame.time for frame in frames] == [at[0] + k / rate for k in range(len(frames))]
    assert frames[-1].time == at[-1]
    shown = {frame.time: frame for frame in frames}
    for i, (asked, time) in enumerate(zip(times, at, strict=True)):
        assert abs(asked - time) <= 1 / rate / 2
        assert shown[time].source
        assert shown[time].rgb.equal(PICTURES[i])
    assert sum(frame.source for frame in frames) == len(times)


def test_what_lies_between_is_what_the_filler_makes_of_its_window():
    toy = Linear(past=2, future=2)
    frames = list(storyboard(board([Fraction(i) for i in range(4)]), Fraction(4), toy))
    torch.testing.assert_close(frames[6].rgb, PICTURES[1].lerp(PICTURES[2], 0.5))
    assert len(frames) == 13
    assert toy.begun == 1


def test_a_filler_of_whole_clips_gets_a_gap_in_one_piece():
    toy = Refining()
    list(storyboard(board([Fraction(0), Fraction(1), Fraction(2)]), Fraction(24), toy))
    assert [len(query) for _, query, _ in toy.told] == [23, 23]
    assert [known for known, _, _ in toy.told] == [(0, 0, 1, 2), (0, 1, 2, 2)]
    plain = Linear()
    list(storyboard(board([Fraction(0), Fraction(1)]), Fraction(24), plain))
    assert max(map(len, plain.calls)) == 8


def test_proposed_keyframes_are_refined_first_and_filled_from():
    toy, marks = Refining(), (True, False, True, True, False)
    times = [Fraction(i) for i in range(5)]
    frames = list(storyboard(board(times, marks), Fraction(2), toy))
    asked = {query: (known, cond[0]) for known, query, cond in toy.told if query[0] in times}
    assert asked[(1,)] == ((0, 1, 2, 3), (True, False, True, True))
    assert asked[(4,)] == ((2, 3, 4, 4), (True, True, False, False))
    assert all(cond == ((True,) * 4, None) for _, query, cond in toy.told if query[0] not in times)
    for i, keyframe in enumerate(frames[::2]):
        assert keyframe.rgb.equal(PICTURES[i]) == keyframe.source == marks[i]
    changed = frames[2].rgb
    drawn = torch.rand(1, 1, 3, 8, 12, generator=torch.Generator().manual_seed(0))[0, 0]
    torch.testing.assert_close(frames[1].rgb, 0.8 * PICTURES[0].lerp(changed, 0.5) + 0.1 * drawn)


def test_proposed_keyframes_stay_where_nothing_is_refined():
    frames = list(storyboard(board([Fraction(0), Fraction(1)], (True, False)), Fraction(2), Linear()))
    assert frames[-1].rgb.equal(PICTURES[1])


def test_two_keyframes_are_enough_for_a_filler_that_sees_four():
    toy = Refining()
    frames = list(storyboard(board([Fraction(0), Fraction(1)], (False, False)), Fraction(2), toy))
    assert [frame.source for frame in frames] == [False] * 3
    assert toy.told[0][0] == (0, 0, 1, 1)


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_pictures(channels):
    pictures = PICTURES[:, :1].expand(-1, channels, -1, -1)
    frames = list(
        storyboard(board([Fraction(0), Fraction(1)], (True, False), pictures), Fraction(2), Refining())
    )
    assert {tuple(frame.rgb.shape) for frame in frames} == {(channels, 8, 12)}


def test_text_reaches_the_model_and_the_seed_as_well():
    def made(seed, text):
        toy = Refining()
        return list(
            storyboard(board([Fraction(0), Fraction(1)]), Fraction(2), Tiled(toy), seed=seed, text=text)
        )[1].rgb

    words = torch.ones(2, 4)
    assert made(1, words).equal(made(1, words))
    torch.testing.assert_close(made(1, words), (made(1, None) + 0.1).clamp(0, 1))
    assert not made(1, None).equal(made(2, None))


@pytest.mark.parametrize("filler", [Linear(), Tiled(Linear()), Refining(text=False)])
def test_text_is_refused_by_a_model_without_text(filler):
    with pytest.raises(TweenError, match="takes no text; leave the text embedding out"):
        storyboard(board([Fraction(0), Fraction(1)]), Fraction(2), filler, text=torch.ones(4))


def test_a_keyframe_between_two_frames_is_told():
    notes = []
    assert placed([Fraction(1), Fraction("1.333"), Fraction("2.3")], Fraction(3), notes.append) == (
        1,
        Fraction(4, 3),
        Fraction(7, 3),
    )
    assert [note.text for note in notes] == [
        "Keyframe 3 lies between two frames at 3 fps, and the nearer one is taken: 2.33333 s in place of 2.3 s."
    ]
    placed([Fraction(i) for i in range(5)], Fraction(24000, 1001), notes.append)
    assert notes[1].text.startswith("Keyframe 5 and 3 more lie between two frames at 23.976 fps")


@pytest.mark.parametrize(
    ("times", "fps", "said"),
    [
        ([0], 24, "expected two keyframes or more to fill between, but got 1"),
        ([0, 1, 1], 24, "number 3 at 1 s follows one at 1 s"),
        ([0, 2, 1], 24, "number 3 at 1 s follows one at 2 s"),
        ([0, Fraction(1, 100)], 24, "keyframes 1 and 2 at 0 and 0.01 s fall on one frame at 24 fps"),
        ([0, 1], 0, "fps should be above 0"),
    ],
)
def test_times_that_cannot_be(times, fps, said):
    with pytest.raises(TweenError, match=said):
        placed([Fraction(t) for t in times], Fraction(fps))
