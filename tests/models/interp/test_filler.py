"""`InterpFiller`: features of a shared frame once, motion of a pair once, memory as it says."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.interp.toy import fast_net
from tween.core import Filler
from tween.models.interp.filler import InterpFiller, Seen
from tween.zoo import load

T = [Fraction(k, 4) for k in range(9)]


def frames(n=3, h=64, w=96):
    g = torch.Generator().manual_seed(0)
    return F.interpolate(torch.rand(n, 3, h // 8, w // 8, generator=g), (h, w), mode="bilinear")[None]


class Counting(InterpFiller):
    def __init__(self, net):
        self.counts = {"encode": 0, "pair": 0, "at": 0}
        for name in self.counts:
            setattr(net, name, self._counted(name, getattr(net, name)))
        super().__init__(net)

    def _counted(self, name, function):
        def call(*args):
            self.counts[name] += 1
            return function(*args)

        return call


def begin(filler, clip):
    return filler.begin(clip[:, 0].shape, seed=0, device=clip.device, dtype=clip.dtype)


def test_it_is_a_filler():
    filler = InterpFiller(fast_net().train())
    assert isinstance(filler, Filler)
    assert not filler.net.training
    assert begin(filler, frames()) == Seen()


def test_work_is_shared():
    clip, filler = frames(), Counting(fast_net())
    state = begin(filler, clip)
    _, state = filler.fill(state, clip[:, :2], (T[0], T[4]), (T[1], T[2], T[3]))
    assert filler.counts == {"encode": 2, "pair": 1, "at": 3}
    filler.fill(state, clip[:, 1:], (T[4], T[8]), (T[6],))
    assert filler.counts == {"encode": 3, "pair": 2, "at": 4}


def test_a_state_of_another_time_is_not_used():
    clip, filler = frames(), Counting(fast_net())
    _, state = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[2],))
    fresh, _ = filler.fill(begin(filler, clip), clip[:, 1:], (T[5], T[8]), (T[6],))
    later, _ = filler.fill(state, clip[:, 1:], (T[5], T[8]), (T[6],))
    assert filler.counts["encode"] == 6
    assert torch.equal(fresh, later)


def test_only_the_place_between_the_frames_counts():
    clip, filler = frames(), InterpFiller(fast_net())
    one, _ = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[1],))
    two, _ = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[8]), (T[2],))
    assert torch.equal(one, two)


@torch.no_grad()
def test_times_are_not_rounded_to_the_type_of_the_frames():
    clip, filler = frames().half(), InterpFiller(fast_net())
    made, _ = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (Fraction(1, 3),))
    a, b = clip[:, :2].float().unbind(1)
    exact = filler.net(a, b, torch.tensor([1 / 3])).prediction.clamp(0, 1)
    assert torch.equal(made[:, 0], exact.half())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_frames_come_back_in_their_own_type(dtype):
    clip, filler = frames().to(dtype), InterpFiller(fast_net())
    made, _ = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[2],))
    assert made.dtype == dtype
    assert 0 <= made.min() <= made.max() <= 1


def test_scale_estimates_motion_on_smaller_frames():
    clip = frames(h=192, w=256)
    sizes = []
    for scale in (1.0, 0.5):
        filler = InterpFiller(fast_net(), scale=scale)
        made, state = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[2],))
        assert made.shape == (1, 1, 3, 192, 256)
        sizes.append(state.features.last.shape[-2:])
    assert sizes == [(3, 3), (2, 2)]


class Watch(TorchDispatchMode):
    """Notes every tensor that is made from values of the host: on a GPU that would be a copy."""

    def __init__(self):
        super().__init__()
        self.made = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.lift_fresh.default:
            self.made.append(args[0].shape)
        return function(*args, **(kwargs or {}))


def test_nothing_comes_from_the_host_so_that_it_can_be_a_graph():
    with Watch() as watch:
        torch.zeros(3).new_tensor((1.0, 2.0))
        torch.tensor((1.0, 2.0))
    assert len(watch.made) == 2
    net, (a, b) = fast_net(), frames(n=2, h=100, w=140).unbind(1)
    with torch.no_grad(), Watch() as watch:
        f0, f1 = (net.encode(x, (64, 96)) for x in (a, b))
        net.at(a, b, f0, f1, net.pair(f0, f1), torch.full((1,), 0.5))
    assert watch.made == []


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-3), ("bf16", 4e-3)])
def test_on_a_gpu_graphs_are_the_network(precision, tolerance):
    """In the mean: splatting adds in any order, and rounding may tip a match."""
    filler = load("fast", device="cuda", precision=precision)
    clip = frames(n=6, h=272, w=480).cuda()
    state = begin(filler, clip)
    for k in range(5):
        ends = Fraction(k), Fraction(k + 1)
        times = tuple(k + x for x in (Fraction(1, 50), Fraction(1, 3), Fraction(2, 3)))
        made, state = filler.fill(state, clip[:, k : k + 2], ends, times)
        plain = InterpFiller(filler.net)  # a filler's first sight of a shape is never a graph
        for i, time in enumerate(times):
            alone, _ = plain.fill(begin(plain, clip), clip[:, k : k + 2], ends, (time,))
            assert (made[:, i] - alone[:, 0]).abs().mean() < tolerance
            plain = InterpFiller(filler.net)
