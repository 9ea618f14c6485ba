"""Filling: source frames untouched, one call a gap, features of a shared frame once, stepping down on the spot."""

from fractions import Fraction

import pytest
import torch

from tests.infer.fakes import Linear, Short, clip
from tween.core import TweenError
from tween.infer.fill import fill
from tween.infer.plan import Marked, gaps


def run(frames, filler, fps, cuts=(), same=(), scene="hold", **options):
    marked = [Marked(frame=f, cut=i in cuts, same=i in same) for i, f in enumerate(frames)]
    end = 2 * frames[-1].time - frames[-2].time
    found = gaps(marked, Fraction(fps), end=lambda: end, scene=scene)
    return list(fill(found, filler, **options))


def test_source_frames_are_the_objects_they_were():
    frames = clip([Fraction(i, 25) for i in range(11)])
    out = run(frames, Linear(), 60)
    untouched = [frame for frame in out if frame.source]
    assert [frame.time for frame in untouched] == [0, Fraction(1, 5), Fraction(2, 5)]
    assert all(any(frame is original for original in frames) for frame in untouched)
    assert [frame.time for frame in out] == [Fraction(k, 60) for k in range(len(out))]


def test_one_call_a_gap_and_features_once_a_frame():
    filler = Linear()
    frames = clip(range(9))
    run(frames, filler, 4)
    assert [len(times) for times in filler.calls] == [3] * 8
    assert filler.encoded == len(frames)
    assert filler.begun == 1


def test_made_frames_lie_between():
    frames = clip(range(3))
    out = {frame.time: frame.rgb for frame in run(frames, Linear(), 4)}
    assert torch.allclose(out[Fraction(5, 4)], frames[1].rgb.lerp(frames[2].rgb, 0.25))


def test_nothing_is_filled_across_a_cut():
    frames = clip(range(6))
    filler = Linear()
    out = {frame.time: frame for frame in run(frames, filler, 2, cuts={3})}
    assert (Fraction(5, 2),) not in filler.calls
    assert torch.equal(out[Fraction(5, 2)].rgb, frames[2].rgb)
    assert not out[Fraction(5, 2)].source
    assert filler.begun == 2


def test_blend_across_a_cut():
    frames = clip(range(6))
    out = {frame.time: frame.rgb for frame in run(frames, Linear(), 4, cuts={3}, scene="blend")}
    assert torch.allclose(out[Fraction(11, 4)], frames[2].rgb.lerp(frames[3].rgb, 0.75))


def test_cuts_off():
    filler = Linear()
    run(clip(range(6)), filler, 2, cuts={3}, scene="off")
    assert len(filler.calls) == 5


def test_identical_pairs_cost_nothing():
    filler = Linear()
    run(clip(range(5)), filler, 2, same={2, 3})
    assert len(filler.calls) == 2


def test_the_last_frame_is_held():
    frames = clip(range(3))
    out = run(frames, Linear(), 2)
    assert torch.equal(out[-1].rgb, frames[-1].rgb)
    assert out[-1].time == Fraction(5, 2)


def test_alpha_is_filled_as_well():
    frames = clip(range(3), channels=4)
    filler = Linear()
    out = {frame.time: frame.rgb for frame in run(frames, filler, 2)}
    assert filler.shapes[0] == (2, 2, 3, 16, 24)
    assert torch.allclose(out[Fraction(1, 2)], frames[0].rgb.lerp(frames[1].rgb, 0.5), atol=1e-6)


def test_out_of_memory_steps_down_once_at_the_same_frame():
    frames = clip(range(6))
    notes, better, built = [], Linear(), []
    fallbacks = (
        ("half the size", lambda: built.append("half") or Short(after=0)),
        ("small tiles", lambda: built.append("tiles") or better),
        ("not needed", lambda: built.append("more") or Linear()),
    )
    out = run(frames, Short(after=2), 2, fallbacks=fallbacks, on=lambda note: notes.append(note.text))
    assert built == ["half", "tiles"]
    assert ["half the size" in notes[0], "small tiles" in notes[1], len(notes)] == [True, True, 2]
    assert better.calls == [(Fraction(5, 2),), (Fraction(7, 2),), (Fraction(9, 2),)]
    assert [frame.time for frame in out] == [Fraction(k, 2) for k in range(12)]
    assert torch.allclose(out[5].rgb, frames[2].rgb.lerp(frames[3].rgb, 0.5))


def test_out_of_memory_with_nothing_left():
    with pytest.raises(TweenError, match="memory ran out"):
        run(clip(range(3)), Short(), 2)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_other_ways_to_say_out_of_memory(error):
    class Failing(Linear):
        def fill(self, *args):
            raise error

    better = Linear()
    run(clip(range(3)), Failing(), 2, fallbacks=(("less", lambda: better),))
    assert len(better.calls) == 2


def test_other_errors_are_not_hidden():
    class Failing(Linear):
        def fill(self, *args):
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run(clip(range(3)), Failing(), 2, fallbacks=(("less", Linear),))
