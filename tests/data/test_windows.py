"""Windows of N frames: the pairing table, times that are true, time reversed to 1 - t, exact paths on curves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import layouts
from tween.core import TweenError
from tween.data import windows as w
from tween.data.clips import Windows
from tween.data.store import FrameStore
from tween.data.windows_made import clip_windows, draw_window, joined, layer_windows, require
from tween.metrics import psnr
from tween.ops.warp import backward_warp

CPU = torch.device("cpu")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("step", "n", "spacing", "span", "count", "targets", "samples"),
    [(7, 4, 8, 24, 41, 21, 861), (15, 3, 16, 32, 33, 30, 990), (31, 2, 32, 32, 33, 31, 1023)],
)
def test_the_pairing_table(step, n, spacing, span, count, targets, samples):
    (p,) = w.pairings([step], [n])
    assert (p.spacing, p.span, p.windows(), len(p.targets), p.samples()) == (
        spacing,
        span,
        count,
        targets,
        samples,
    )


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(2, 8))
def test_targets_lie_inside_and_are_no_anchors(step, n):
    if (n - 1) * (step + 1) > 64:
        with pytest.raises(TweenError, match="a clip of 65 holds 64"):
            w.pairings([step], [n])
        return
    (p,) = w.pairings([step], [n])
    anchors = [i * p.spacing for i in range(n)]
    assert set(p.targets) | set(anchors) == set(range(p.span + 1))
    assert not set(p.targets) & set(anchors)


@pytest.mark.parametrize(
    ("steps", "n", "said"),
    [
        ([7, 15], [4], "go in pairs"),
        ([], [], "go in pairs"),
        ([0], [2], "a step of 1 or more"),
        ([7], [1], "2 frames"),
    ],
)
def test_wrong_pairs(steps, n, said):
    with pytest.raises(TweenError, match=said):
        w.pairings(steps, n)


@settings(deadline=None)
@given(st.integers(1, 23))
def test_reversal_maps_t_to_1_minus_t(target):
    """On linear motion the true place follows from t: frame n shows the number n."""
    frames = torch.tensor([0, 8, 16, 24]).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    cut = w.Cut(frames, torch.full((3, 2, 2), target), target / 24)
    back = w.reversed_in_time(cut)
    first, last = back.frames[0, 0, 0, 0], back.frames[-1, 0, 0, 0]
    assert (first + (last - first) * back.t).item() == pytest.approx(target)
    assert back.t == pytest.approx(1 - target / 24)  # anchors 24, 16, 8, 0, target 5: 19/24
    assert w.reversed_in_time(back).t == pytest.approx(cut.t)


@pytest.fixture(scope="module")
def xtrain(tmp_path_factory):
    return layouts.xtrain(tmp_path_factory.mktemp("x4k"), size=(136, 72))


@pytest.mark.parametrize(("step", "n"), [(7, 4), (15, 3), (31, 2)])
def test_x4k_shows_what_its_times_say(xtrain, step, n):
    """Frame k has moved by k px: where the truth lies between the anchors is read off the pictures."""
    cuts = w.x4k_windows(xtrain, w.Pairing(step, n))
    assert len(cuts) == 2
    seen = 0
    for seed in range(6):
        cut = cuts.draw(seed % 2, (64, 64), rng(seed))
        assert cut.frames.shape == (n, 3, 64, 64)
        # mirrored or backwards the motion is too; the share of the way is t all the same
        way = [moved(cut.frames[0], x) for x in (cut.truth, cut.frames[-1])]
        if None not in way:
            seen += 1
            assert way[0] / way[1] == pytest.approx(cut.t, abs=1e-6)
    assert seen >= 2


def moved(a, b):
    """Whole pixels, along x, between two pictures; None where nothing fits exactly."""
    for d in range(-40, 41):
        one, two = (a[..., max(0, d) : 64 + min(0, d)], b[..., max(0, -d) : 64 - max(0, d)])
        if d and torch.equal(one, two):
            return d
    return None


def test_vimeo_and_septuplets(tmp_path):
    three = w.vimeo_windows(layouts.vimeo(tmp_path / "three"))
    cut = three.draw(0, (64, 64), rng())
    assert (three.n, len(three), cut.t) == (2, 2, 0.5)
    seven = w.septuplet_windows(layouts.vimeo(tmp_path / "seven", frames=7))
    assert {round(6 * seven.draw(0, (64, 64), rng(i)).t, 9) for i in range(20)} == {1, 3, 5}
    with pytest.raises(TweenError, match="take smaller crops"):
        three.draw(0, (512, 512), rng())


def test_a_batch_shares_n_and_is_a_function_of_its_index(xtrain):
    sets = [w.x4k_windows(xtrain, p) for p in w.pairings([7, 31], [4, 2])]
    fields = {"size": (64, 64), "batch_size": 2, "workers": 0, "seed": 0, "device": CPU}
    draw = w.batches(sets, lambda index: index % 2, **fields)
    one, two, again = draw(0), draw(1), draw(0)
    assert one.frames.shape == (2, 4, 3, 64, 64)
    assert two.frames.shape == (2, 2, 3, 64, 64)
    assert torch.equal(one.frames, again.frames)
    assert torch.equal(one.times[0], torch.linspace(0, 1, 4))
    assert not one.known.any()
    assert ((one.t > 0) & (one.t < 1)).all()


@pytest.fixture(scope="module")
def store():
    """A clip of 20 frames that moves by 2 px a frame, and a picture."""
    wide = torch.nn.functional.interpolate(
        torch.rand(1, 3, 20, 40, generator=rng()), scale_factor=8, mode="bicubic"
    )[0]
    clip = torch.stack([wide[:, :96, 2 * i : 2 * i + 128] for i in range(20)]).clamp(0, 1)
    return FrameStore.build([(clip.permute(0, 2, 3, 1) * 255).byte().numpy()], CPU)


def shots(count=20, reach=6):
    return Windows(
        first=torch.tensor([0]),
        count=torch.tensor([count]),
        reach=torch.tensor([reach]),
        weight=torch.ones(1),
    )


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_drawn_windows_stay_in_their_shot(n, seed):
    frame, t = draw_window(shots(), n, 8, rng(seed))
    known, target = frame[:, :-1], frame[:, -1]
    assert 0 <= frame.min() <= frame.max() <= 19
    gaps = known.diff(dim=1)
    assert (gaps == gaps[:, :1]).all()
    assert ((gaps.abs() >= 2) & (gaps.abs() <= 6)).all()
    where = (target - known[:, 0]) / (known[:, -1] - known[:, 0])
    torch.testing.assert_close(where, t)
    assert not (known == target[:, None]).any()


def test_a_shot_that_is_too_short():
    with pytest.raises(TweenError, match="windows of 4 frames need shots of 7"):
        require(shots(count=5), 4)
    require(shots(count=7), 4)


def test_real_windows(store):
    made = clip_windows(store, shots(), 3, 4, (64, 64), rng())
    assert made.frames.shape == (4, 3, 3, 64, 64)
    assert made.flow.shape == (4, 3, 4, 2, 64, 64)
    assert not made.known.any()


@pytest.mark.parametrize("n", [2, 3, 4])
def test_paths_of_layers_are_exact_and_curved(store, n):
    made = layer_windows(store, n, 6, (64, 96), rng(2))
    assert made.known.all()
    for i in range(n):  # a known frame's own displacement to itself is none
        assert made.flow[:, i, i].abs().max() < 1e-2
    flow, truth = made.flow[:, 0, n], made.truth
    there = backward_warp(truth, flow)  # what is seen at t where the first frame's places have gone
    still = (made.frames[:, 0] - truth).abs()
    assert (there - made.frames[:, 0]).abs().median() < 0.2 * still.mean() + 0.004
    if n > 2:
        a, b = made.flow[:, 0, 1], made.flow[:, 0, 2]
        assert (b - 2 * a).norm(dim=1).max() > 1  # no straight line at even speed
    assert joined([made, made]).frames.shape[0] == 12


def test_the_time_may_be_chosen(store):
    t = torch.full((2,), 0.5)
    made = layer_windows(store, 4, 2, (64, 64), rng(), t=t)
    assert torch.equal(made.t, t)
    assert psnr(made.truth, made.frames[:, 1]).min() > 5
