"""What a filler owes that sees several keyframes, whatever is inside: over storyboards and sparse video."""

from fractions import Fraction
from functools import cache

import pytest
import torch
import torch.nn.functional as F

from tests.infer import videos
from tests.infer.refining import Refining
from tests.models.impute.toy import alive
from tests.models.splat.toy import net as splat_net
from tween.core import Filler, Frame, clone
from tween.infer.fill import fill
from tween.infer.pipeline import Request, interpolate
from tween.infer.plan import Marked, gaps
from tween.infer.storyboard import Keyframes, placed, storyboard
from tween.infer.tile import Tiled
from tween.metrics import psnr
from tween.models.impute.config import Trunk, VideoConfig
from tween.models.impute.filler import ImputeFiller
from tween.models.impute.fills import by_filler, idw, linear, slerp
from tween.models.impute.fills_filler import FillFiller
from tween.models.impute.fills_sinkhorn import SinkhornConfig, sinkhorn
from tween.models.impute.net import VideoRefiner
from tween.models.interp.baselines import Dis
from tween.models.splat.filler import SplatFiller
from tween.video.read import open_reader

REFINED = VideoConfig(
    channels=3, patch=8, side=48, calm=0.03, trunk=Trunk(width=32, layers=2, heads=2, ffn=48, clamp=True)
)


def refined():
    torch.manual_seed(0)
    return ImputeFiller(alive(VideoRefiner(REFINED)), FillFiller(linear))


BUILD = {
    "impute, linear": lambda: FillFiller(linear),
    "impute, linear of 4": lambda: FillFiller(linear, sight=2),
    "impute, slerp of 4": lambda: FillFiller(slerp, sight=2),
    "impute, idw of 6": lambda: FillFiller(idw, sight=3),
    "impute, sinkhorn of 4": lambda: FillFiller(sinkhorn(SinkhornConfig(tokens=12)), sight=2),
    "impute, dis of 4": lambda: FillFiller(by_filler(Dis()), sight=2),
    "impute, refined of 4": refined,
    "splat of 4": lambda: SplatFiller(splat_net(live=True)).seeing(4),
}
CLOSE = {"atol": 1e-5, "rtol": 0.0}


@cache
def build(name):
    return BUILD[name]()


@pytest.fixture(params=BUILD)
def filler(request):
    return build(request.param)


@cache
def clip(b=2, n=6, h=64, w=96):
    """`b n 3 h w`: a soft texture that moves by (3, 1) pixels a frame."""
    noise = torch.rand(b, 3, h // 8 + 4, w // 8 + 6, generator=torch.Generator().manual_seed(1))
    wide = F.interpolate(noise, scale_factor=8, mode="bicubic").clamp(0, 1)
    return torch.stack([wide[..., i : i + h, 3 * i : 3 * i + w] for i in range(n)], 1)


def ask(filler, frames, times, queries, seed=0):
    state = filler.begin(frames[:, 0].shape, seed=seed, device=frames.device, dtype=frames.dtype)
    return filler.fill(state, frames, times, queries)


def window(filler, shift=0):
    """Its keyframes, one a second, and times in the gap in their middle."""
    n = filler.past + filler.future
    times = [Fraction(i + shift) for i in range(n)]
    middle = times[filler.past - 1]
    return clip()[:, :n], times, [middle + Fraction(i, 4) for i in (1, 2, 3)]


def test_it_keeps_to_the_protocol(filler):
    assert isinstance(filler, Filler)
    assert filler.past >= 1
    assert filler.future >= 1
    assert filler.bytes_per_pixel > 0


def test_shapes_range_and_what_was_given(filler):
    frames, times, queries = window(filler)
    before = frames.clone()
    made, state = ask(filler, frames, times, queries)
    assert made.shape == (2, 3, 3, 64, 96)
    assert 0 <= made.min() <= made.max() <= 1
    assert frames.equal(before)
    assert clone(state) is None or type(clone(state)) is type(state)


def test_the_same_seed_gives_the_same_frames(filler):
    assert ask(filler, *window(filler), seed=7)[0].equal(ask(filler, *window(filler), seed=7)[0])


def test_only_the_place_between_the_keyframes_counts(filler):
    torch.testing.assert_close(
        ask(filler, *window(filler, 1000))[0], ask(filler, *window(filler))[0], **CLOSE
    )


def test_each_clip_of_a_batch_is_filled_by_itself(filler):
    frames, times, queries = window(filler)
    together, _ = ask(filler, frames, times, queries)
    torch.testing.assert_close(together[1:], ask(filler, frames[1:], times, queries)[0], **CLOSE)


@pytest.mark.parametrize("name", [name for name in BUILD if name != "impute, refined of 4"])
def test_many_times_at_once_are_each_by_itself(name):
    """But for a refiner: it makes a whole gap at once, each frame with an eye on the others."""
    filler = build(name)
    frames, times, queries = window(filler)
    alone = torch.cat([ask(filler, frames, times, [t])[0] for t in queries], 1)
    torch.testing.assert_close(ask(filler, frames, times, queries)[0], alone, **CLOSE)


@pytest.mark.parametrize("name", [name for name in BUILD if name.startswith("impute")])
def test_keyframes_that_are_equal_stay(name):
    filler = build(name)
    frames, times, queries = window(filler)
    still = frames[:, :1].expand_as(frames)
    made, _ = ask(filler, still, times, queries)
    assert psnr(made[:, 1], still[:, 0]).min() > 50


@pytest.mark.parametrize("n", [2, 3, 6])
def test_a_storyboard_of_few_keyframes_or_many(filler, n):
    """At its ends keyframes are repeated; each is shown as the object it is, at its time."""
    at = placed([Fraction(i * i, 3) for i in range(n)], Fraction(3))
    keyframes = Keyframes(times=at, load=clip()[0].__getitem__, given=(True,) * n)
    frames = list(storyboard(keyframes, Fraction(3), Tiled(filler)))
    assert [frame.time for frame in frames] == [Fraction(i, 3) for i in range((n - 1) ** 2 + 1)]
    for i, time in enumerate(at):
        assert frames[int(time * 3)].rgb.equal(clip()[0, i])
    assert all(frame.rgb.isfinite().all() and frame.rgb.shape == (3, 64, 96) for frame in frames)


def test_odd_sizes_in_tiles(filler):
    tiled = Tiled(filler, pixels=64 * 64, overlap=16)
    frames, times, queries = window(filler)
    made, _ = ask(tiled, frames[..., :61, :91], times, queries)
    assert made.shape == (2, 3, 3, 61, 91)
    assert 0 <= made.min() <= made.max() <= 1


def test_nothing_is_seen_across_a_cut(filler):
    """What comes after a cut changes nothing before it."""

    def before(second):
        frames = [*clip()[0, :3], *second]
        marked = (Marked(frame=Frame(time=Fraction(i), rgb=rgb), cut=i == 3) for i, rgb in enumerate(frames))
        parts = gaps(marked, Fraction(2), end=lambda: Fraction(6), past=filler.past, future=filler.future)
        return torch.stack([frame.rgb for frame in fill(parts, Tiled(filler))][:6])

    assert before(clip()[0, 3:6]).equal(before(1 - clip()[1, 3:6]))


@pytest.mark.parametrize("past", [1, 2, 3])
def test_a_sparse_video_becomes_a_whole_one(tmp_path, past):
    """Five frames in five seconds, by fillers that see as many on each side; and by one that refines whole gaps."""
    source = videos.write(tmp_path / "in.mkv", [Fraction(i) for i in range(5)])
    for filler in (FillFiller(idw, sight=past), Sparse(past=past, future=past)):
        wish = Request(path=source, fps=Fraction(12), scene="off")
        summary = interpolate(wish, tmp_path / "out.mkv", Tiled(filler), overwrite=True)
        assert (summary.frames_in, summary.untouched) == (5, 5)
        with open_reader(tmp_path / "out.mkv") as reader:
            times = [frame.time for frame in reader]
        assert times == pytest.approx([i / 12 for i in range(len(times))], abs=1e-3)
        assert len(times) == summary.frames_out >= 49
    assert [len(query) for _, query, _ in filler.told][:4] == [11] * 4


class Sparse(Refining):
    """Of a video nothing is told but the frames."""

    def fill(self, state, known, known_t, query_t, cond=None):
        assert cond is None
        return super().fill(state, known, known_t, query_t, ((True,) * len(known_t), None))
