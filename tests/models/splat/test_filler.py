"""The filler with more than two frames: windows at the ends, kept scenes, mistakes. The rest is in tests/contracts."""

from fractions import Fraction

import pytest
import torch

from tests.models.splat.toy import clip, net
from tween.core import Frame, TweenError
from tween.infer.fill import fill
from tween.infer.plan import Marked, gaps
from tween.infer.tile import Tiled
from tween.models.splat.filler import SplatFiller

T = [Fraction(k, 30) for k in range(6)]


def begin(filler, frames):
    return filler.begin(frames[:, 0].shape, seed=0, device="cpu", dtype=frames.dtype)


@pytest.mark.parametrize(("n", "past", "future"), [(2, 1, 1), (3, 2, 1), (4, 2, 2), (5, 3, 2)])
def test_what_it_sees(n, past, future):
    filler = SplatFiller(net(), frames=n)
    assert (filler.past, filler.future) == (past, future)
    assert filler.seeing(2).past == 1


@pytest.mark.parametrize("n", [3, 4])
def test_a_video_through_windows_of_n(n):
    pictures = clip(1, 6, 32, 64)[0]
    frames = [Frame(time=t, rgb=rgb) for t, rgb in zip(T, pictures, strict=True)]
    filler = SplatFiller(net(live=True), frames=n)
    found = gaps(
        (Marked(frame=f) for f in frames),
        Fraction(60),
        end=lambda: Fraction(6, 30),
        past=filler.past,
        future=filler.future,
    )
    out = list(fill(found, Tiled(filler)))
    assert [f.time for f in out] == [Fraction(k, 60) for k in range(12)]
    assert all(shown is given for shown, given in zip(out[::2], frames, strict=True))
    inner = SplatFiller(net(live=True), frames=n)
    known = slice(3 - inner.past, 3 + inner.future)
    alone, _ = inner.fill(begin(inner, pictures[None]), pictures[None, known], T[known], [Fraction(5, 60)])
    torch.testing.assert_close(out[5].rgb, alone[0, 0], atol=1e-5, rtol=0)


def test_a_repeated_frame_is_seen_once():
    frames, filler = clip(1, 3), SplatFiller(net(live=True), frames=4)
    t = [T[0], T[0], T[1], T[2]]
    made, _ = filler.fill(begin(filler, frames), frames[:, [0, 0, 1, 2]], t, [Fraction(1, 60)])
    three, _ = filler.fill(begin(filler, frames), frames, T[:3], [Fraction(1, 60)])
    assert torch.equal(made, three)


def test_a_scene_is_made_once_for_many_calls():
    frames, filler = clip(1, 4), SplatFiller(net(live=True), frames=4)
    one, state = filler.fill(begin(filler, frames), frames, T[:4], [Fraction(1, 25)])
    calls = []
    filler.net.encoder.register_forward_hook(lambda *_: calls.append(1))
    two, _ = filler.fill(state, frames, T[:4], [Fraction(1, 25), Fraction(1, 20)])
    assert calls == []
    assert torch.equal(one[:, 0], two[:, 0])


@pytest.mark.parametrize(
    ("frames", "times", "ask", "said"),
    [
        (1, T[:1], T[0], "two frames or more"),
        (2, [T[0], T[0]], T[0], "two frames or more at increasing times"),
        (2, [T[1], T[0]], T[0], "increasing times"),
        (2, T[:2], T[2], "between its first and its last frame"),
        (2, T[1:3], T[0], "between its first and its last frame"),
    ],
)
def test_mistakes(frames, times, ask, said):
    filler = SplatFiller(net())
    with pytest.raises(TweenError, match=said):
        filler.fill(begin(filler, clip(1, frames)), clip(1, frames), times, [ask])


def test_one_frame_is_no_window():
    with pytest.raises(TweenError, match="two frames or more"):
        SplatFiller(net(), frames=1)
