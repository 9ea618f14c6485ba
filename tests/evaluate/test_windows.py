"""What more frames are worth: every filler sees its share of the same four frames."""

from fractions import Fraction

import pytest
import torch

from tests.data.test_windows import rng, shots, store  # noqa: F401
from tests.models.splat.toy import clip, net
from tween.core import TweenError
from tween.evaluate.windows import TIMES, Scene, clip_scenes, curved_scenes, filled, window_psnr
from tween.metrics import psnr
from tween.models.interp.baselines import Blend
from tween.models.splat.baseline import IndexLerp
from tween.models.splat.filler import SplatFiller


class Spy:
    """A filler that notes what it is shown and gives its first frame."""

    multiple, bytes_per_pixel = 1, 1.0

    def __init__(self, past, future):
        self.past, self.future, self.seen = past, future, []

    def begin(self, shape, *, seed, device, dtype):
        return None

    def fill(self, state, known, known_t, query_t, cond=None):
        self.seen.append((known, tuple(known_t), tuple(query_t)))
        return known[:, :1], None


def scene(t=Fraction(1, 2)):
    frames = torch.stack([torch.full((3, 8, 8), i / 4) for i in range(4)])
    return Scene("s", frames, torch.full((3, 8, 8), 0.375), t)


@pytest.mark.parametrize(("past", "future", "first"), [(1, 1, 1), (2, 1, 0), (2, 2, 0)])
def test_the_frames_around_the_inner_gap(past, future, first):
    spy = Spy(past, future)
    made = filled(spy, scene(), "cpu")
    ((known, times, asked),) = spy.seen
    assert known.shape[1] == past + future
    assert times == TIMES[first : first + past + future]
    assert asked == (Fraction(1, 2),)
    assert made.unique().tolist() == [first / 4]


def test_more_than_four_frames_are_not_there():
    with pytest.raises(TweenError, match=r"windows hold two frames on each side, but odd wants 3\+1"):
        window_psnr({"odd": Spy(3, 1)}, [scene()])


def test_values_are_those_of_the_metric():
    found = window_psnr({"blend": Blend(), "first": Spy(1, 1)}, [scene(), scene()._replace(name="t")])
    assert found["blend"]["s"] > 60  # exactly in the middle
    expected = psnr(torch.full((1, 3, 8, 8), 0.25), torch.full((1, 3, 8, 8), 0.375)).item()
    assert found["first"] == {"s": pytest.approx(expected), "t": pytest.approx(expected)}


def test_scenes_of_clips(store):  # noqa: F811
    (found,) = clip_scenes(store, shots(count=20, reach=5))
    assert found.frames.shape == (4, 3, 96, 128)
    assert found.t == Fraction(2, 5)
    shift = found.frames[0, :, :, 10:100], found.frames[1, :, :, :90]  # five frames of two px
    torch.testing.assert_close(*shift, atol=0.01, rtol=0)
    torch.testing.assert_close(found.truth[:, :, :90], found.frames[1, :, :, 4:94], atol=0.01, rtol=0)
    assert list(clip_scenes(store, shots(count=6))) == []


def test_several_scenes_of_a_clip_start_apart(store):  # noqa: F811
    found = list(clip_scenes(store, shots(count=20, reach=5), each=2))
    assert [s.name for s in found] == ["shot 0 frame 1", "shot 0 frame 3"]
    assert not torch.equal(found[0].truth, found[1].truth)
    assert len(list(clip_scenes(store, shots(count=16, reach=5), each=3))) == 1  # no room for a second one


def test_curves_are_the_same_every_time(store):  # noqa: F811
    one, two = (list(curved_scenes(store, 2, (64, 64))) for _ in range(2))
    assert all(torch.equal(a.truth, b.truth) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0].truth, one[1].truth)


def test_clouds_mixed_by_index_are_a_cross_fade():
    frames = clip(1, 4)[0]
    s = Scene("s", frames, frames[1], Fraction(1, 4))
    made, blend = filled(IndexLerp(), s, "cpu"), filled(Blend(), s, "cpu")
    assert psnr(made, blend).item() > 36


def test_a_network_takes_all_of_them():
    s = Scene("s", *(lambda f: (f[[0, 1, 3, 4]], f[2]))(clip(1, 5)[0]), Fraction(1, 2))
    found = window_psnr({n: SplatFiller(net(live=True), frames=n) for n in (2, 3, 4)}, [s])
    assert len({round(rows["s"], 6) for rows in found.values()}) == 3
