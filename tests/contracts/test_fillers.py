"""What every filler owes, whatever is inside: those of the zoo, and the other networks at toy size. All are shown two
frames; what more are worth is of tests/models/splat."""

from fractions import Fraction
from functools import cache

import pytest
import torch
import torch.nn.functional as F

from tests.models.interp.toy import TOY, TOY1, fast_net, quality_net
from tests.models.splat.toy import net as splat_net
from tween.core import Filler, Frame, clone
from tween.infer.fill import fill
from tween.infer.plan import Marked, gaps
from tween.infer.tile import Tiled
from tween.metrics import psnr
from tween.models.interp.filler import InterpFiller
from tween.models.interp.hybrid_filler import HybridFiller
from tween.models.interp.net import HybridNet
from tween.models.splat.filler import SplatFiller
from tween.zoo.load import load, seeing
from tween.zoo.registry import fillers

T = [Fraction(k, 30) for k in range(5)]
BETWEEN = [Fraction(1, 90), Fraction(1, 60), Fraction(29, 900)]
CLOSE = {"atol": 1e-5, "rtol": 0.0}


def hybrid(config):
    torch.manual_seed(0)
    return HybridFiller(HybridNet(config))


TOYS = {
    "toy fast": lambda: InterpFiller(fast_net()),
    "toy thesis 1": lambda: hybrid(TOY1),
    "toy thesis": lambda: hybrid(TOY),
    "toy quality": lambda: InterpFiller(quality_net()),
    "toy splat": lambda: SplatFiller(splat_net(live=True)),
}
ALL = [*fillers(), *TOYS]
NETWORKS = ["fast", *TOYS]


@cache
def build(name):
    return TOYS[name]() if name in TOYS else seeing(load(name, device="cpu", precision="fp32"), 2)


@pytest.fixture(params=ALL)
def filler(request):
    return build(request.param)


@pytest.fixture(params=NETWORKS)
def network(request):
    return build(request.param)


@cache
def clip(b=2, n=4, h=48, w=64):
    """`b n 3 h w`: a soft texture that moves by (3, 1) pixels a frame."""
    noise = torch.rand(b, 3, h // 8 + 4, w // 8 + 6, generator=torch.Generator().manual_seed(1))
    wide = F.interpolate(noise, scale_factor=8, mode="bicubic").clamp(0, 1)
    return torch.stack([wide[..., i : i + h, 3 * i : 3 * i + w] for i in range(n)], 1)


def begin(filler, frames, seed=0):
    return filler.begin(frames[:, 0].shape, seed=seed, device=frames.device, dtype=frames.dtype)


def same(filler, one, other):
    """Equal; of Gaussians, which in a batch may change places where they are equally near, but for a few pixels."""
    if not isinstance(filler, SplatFiller):
        torch.testing.assert_close(one, other, **CLOSE)
        return
    torch.testing.assert_close(one, other, atol=5e-3, rtol=0)
    assert ((one - other).abs() > 1e-4).float().mean() < 1e-3


def first(filler, frames, times=BETWEEN):
    return filler.fill(begin(filler, frames), frames[:, :2], T[:2], times)


@cache
def shown(filler):
    """What it makes of the first two frames of the clip."""
    return first(filler, clip())[0]


def test_it_keeps_to_the_protocol(filler):
    assert isinstance(filler, Filler)
    assert (filler.past, filler.future) == (1, 1)
    assert filler.multiple >= 1


@pytest.mark.parametrize("name", ALL)
def test_it_says_how_much_memory_it_takes(name):
    assert build(name).bytes_per_pixel > 0


def test_shapes_and_range(filler):
    frames = clip()
    before = frames.clone()
    made, _ = first(filler, frames)
    assert made.shape == (2, 3, 3, 48, 64)
    assert made.dtype == frames.dtype
    assert 0 <= made.min() <= made.max() <= 1  # not a number is neither
    assert torch.equal(frames, before)


def test_known_frames_come_out_as_they_went_in(filler):
    frames = [Frame(time=t, rgb=rgb) for t, rgb in zip(T, clip()[0], strict=False)]
    found = gaps((Marked(frame=f) for f in frames), Fraction(60), end=lambda: Fraction(4, 30))
    out = list(fill(found, Tiled(filler)))
    assert [frame.time for frame in out] == [Fraction(k, 60) for k in range(8)]
    assert all(kept is given for kept, given in zip(out[::2], frames, strict=True))
    assert all(not frame.source and frame.rgb.shape == (3, 48, 64) for frame in out[1::2])


def test_the_same_seed_gives_the_same_frames(filler):
    one, two = (filler.fill(begin(filler, clip(), 7), clip()[:, :2], T[:2], BETWEEN[:1])[0] for _ in range(2))
    assert torch.equal(one, two)


def test_a_kept_state_gives_the_frames_of_a_fresh_one(filler):
    frames = clip()
    _, state = first(filler, frames)
    for i in (1, 2):
        times = [t + T[i] for t in BETWEEN]
        kept, state = filler.fill(state, frames[:, i : i + 2], T[i : i + 2], times)
        fresh, _ = filler.fill(begin(filler, frames), frames[:, i : i + 2], T[i : i + 2], times)
        same(filler, kept, fresh)


@pytest.mark.parametrize(
    "name", [name for name in ALL if name != "impute"]
)  # it refines a gap's frames together
def test_many_times_at_once_are_each_by_itself(name):
    filler = build(name)
    alone = torch.cat([first(filler, clip(), [t])[0] for t in BETWEEN], 1)
    same(filler, shown(filler), alone)


def test_each_clip_of_a_batch_is_filled_by_itself(filler):
    same(filler, shown(filler)[1:], first(filler, clip()[1:])[0])


def test_only_the_place_between_the_frames_counts(filler):
    later = [t + 1000 for t in T[:2]], [t + 1000 for t in BETWEEN]
    made, _ = filler.fill(begin(filler, clip()), clip()[:, :2], *later)
    assert torch.equal(made, shown(filler))


def test_a_cloned_state_goes_its_own_way(filler):
    frames = clip()
    _, state = first(filler, frames)
    fork = clone(state)
    filler.fill(state, frames[:, 1:3].flip(-1), T[1:3], [Fraction(1, 20)])
    forked, _ = filler.fill(fork, frames[:, 1:3], T[1:3], [Fraction(1, 20)])
    fresh, _ = filler.fill(begin(filler, frames), frames[:, 1:3], T[1:3], [Fraction(1, 20)])
    torch.testing.assert_close(forked, fresh, **CLOSE)


@pytest.mark.parametrize("size", [(45, 71), (33, 97), (64, 95)])
def test_odd_sizes(filler, size):
    frames = clip(h=64, w=104)[..., : size[0], : size[1]]
    made, _ = first(Tiled(filler), frames)
    assert made.shape == (2, 3, 3, *size)
    assert 0 <= made.min() <= made.max() <= 1


@pytest.mark.parametrize("name", fillers())
def test_frames_that_are_equal_stay_as_they_are(name):
    frames = clip()[:, :1].expand(-1, 2, -1, -1, -1)
    made, _ = first(build(name), frames)
    assert psnr(made[:, 1], frames[:, 0]).min() > 35


def test_weights_read_back_give_the_same_frames(network):
    torch.manual_seed(9)
    twin = type(network)(type(network.net)(network.net.config).eval())
    assert not torch.equal(first(twin, clip())[0], shown(network))
    twin.net.load_state_dict(network.net.state_dict())
    torch.testing.assert_close(first(twin, clip())[0], shown(network), **CLOSE)


@pytest.mark.parametrize("t", [Fraction(1, 60), Fraction(1, 120)])
def test_fast_sees_a_clip_and_its_reversal_nearly_alike(t):
    fast, frames = build("fast"), clip(n=2)
    forward, _ = first(fast, frames, [t])
    back, _ = first(fast, frames.flip(1), [T[1] - t])
    assert psnr(forward[:, 0], back[:, 0]).min() > 32
