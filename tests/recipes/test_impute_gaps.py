"""The refiner that is released, trained as it is used: what a batch is, and that a run of it becomes a filler."""

from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest
import torch

from tests.infer.fakes import Linear
from tests.models.impute.codecs import codec
from tests.models.impute.toy import video_net
from tween.core import TweenError
from tween.engine import train
from tween.evaluate.models import restored
from tween.models.impute.config import EncoderConfig, Trunk, VideoConfig
from tween.models.impute.encoder import Encoder
from tween.models.impute.filler import ImputeFiller, paced
from tween.models.impute.fills import by_filler, linear
from tween.models.impute.fills_filler import FillFiller
from tween.recipes import impute_gaps as recipe
from tween.recipes.impute_feeds import Dealing

GAPS = (2, 4)
DEALING = Dealing(classes=2, generated=2, positives=3, anything=0, plain=1.0)


@pytest.fixture(scope="module")
def clips():
    """Smooth noise that moves, of which each clip's first pixel tells its number and each frame's second its time."""
    made = torch.randint(0, 256, (8, 13, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    made[:, :, 0] = torch.arange(13, dtype=torch.uint8)[:, None, None]
    return made


@pytest.fixture(scope="module")
def gaps(clips):
    return recipe.filled(clips, GAPS, linear)


def test_a_sequence_is_a_gap_with_two_keyframes_on_each_side(gaps):
    truth, coarse = recipe.sequence(gaps, 2, torch.tensor([3, 5]))
    assert truth[0, :, 0, 0, 0].tolist() == [2, 4, 5, 6, 8]
    assert torch.equal(truth[:, [0, 1, 3, 4]], coarse[:, [0, 1, 3, 4]])
    middle = truth[:, [1, 3]].float().mean(1)
    assert (coarse[:, 2].float() - middle).abs().max() <= 0.51


def test_batches_take_gaps_in_turn_and_are_known_where_they_are_true(gaps):
    batch = recipe.feed(gaps, torch.arange(8) % 2, 2, DEALING)
    for index in range(12):
        torch.manual_seed(index)
        made, gap = batch(index), GAPS[index % 2]
        assert made.truth.shape[1] == made.coarse.shape[1] == made.positives.shape[2] == made.known.shape[1]
        assert int((~made.known[0]).sum()) == gap - 1
        same = (made.truth == made.coarse).flatten(2).all(2)
        assert torch.equal(same, made.known)
        assert made.times.diff().max() in (1, gap)
        when = (255 * made.truth[0, :, 0, 0, 0]).round()
        assert torch.equal((when - when[0]).abs(), made.times.float())


def test_a_filler_sees_what_was_learned(clips, gaps):
    """The network in a filler is shown the very sequence and times that the recipe makes of the same frames."""
    told = {}

    class Spy(torch.nn.Module):
        config = video_net().config

        def forward(self, latents, known, **more):
            told.update(latents=latents, known=known, **more)
            return latents

    spy, at = ImputeFiller(Spy(), Linear()), recipe.numbers(4, 4)
    keys = clips[:1, [at[0], at[1], at[-2], at[-1]]].float() / 255
    times = [Fraction(i) for i in (at[0], at[1], at[-2], at[-1])]
    state = spy.begin((1, 3, 16, 16), seed=0, device="cpu", dtype=keys.dtype)
    spy.fill(state, keys, times, [Fraction(i) for i in at[2:-2]])
    coarse = by_filler(Linear())(clips[:1, at].float() / 255, recipe.given(7, 4, 0, "cpu")[None], at)
    torch.testing.assert_close(told["latents"], coarse, atol=1e-5, rtol=0)
    assert told["known"][0].tolist() == recipe.given(7, 4, 0, "cpu").tolist()
    assert told["times"].tolist() == [i - at[0] for i in at]
    assert paced(times).tolist() == [0, 1, 2, 3]


def test_a_fresh_refiner_gains_nothing_and_loses_nothing(gaps):
    modules = torch.nn.ModuleDict({"refiner": video_net(live=False, patch=4)})
    found = recipe.judged(modules, 0, held=gaps)
    assert found["gain"] == pytest.approx(0, abs=1e-5)
    assert found["psnr"] == pytest.approx((found["psnr_2"] + found["psnr_4"]) / 2)


def test_it_trains_and_becomes_a_filler(clips, tmp_path):
    torch.manual_seed(0)
    video = replace(
        recipe.VIDEO,
        gaps=GAPS,
        fill="linear",
        window=3,
        codes=(2,),
        dealing=DEALING,
        encoder=EncoderConfig(width=8, blocks=(1, 1), groups=4),
    )
    encoder = Encoder(replace(video.encoder, channels=9, classes=1)).eval()
    tiny = VideoConfig(
        channels=3, patch=4, calm=0.03, trunk=Trunk(width=32, layers=1, heads=2, ffn=48, clamp=True)
    )
    found = recipe.filled(clips, GAPS, linear)
    make = partial(recipe.gaps_run, found, found, video, encoder, tiny, device="cpu", runs=tmp_path)
    report = train(replace(make(steps=3), eval_interval=3))
    assert report.metrics.keys() == {"psnr_2", "psnr_4", "psnr", "gain"}
    made = restored(report.folder / "best.safetensors", torch.device("cpu"), torch.float32)
    assert isinstance(made, ImputeFiller)
    assert made.net.config.side == 16
    with pytest.raises(TweenError, match="need stretches of 25 frames"):
        recipe.filled(clips, (8,), linear)


def test_of_latents_the_answer_judged_is_that_of_the_filler(clips, tmp_path):
    vae, net = codec(tmp_path / "codec.safetensors"), video_net(channels=4)
    at = recipe.numbers(4, 4)
    keys = [at[i] for i in (0, 1, -2, -1)]
    frames, mask = clips[:1].float() / 255, recipe.given(7, 4, 0, "cpu")[None]
    filler = ImputeFiller(net, FillFiller(linear, sight=2), codec=vae)
    state = filler.begin((1, 3, 16, 16), seed=0, device="cpu", dtype=frames.dtype)
    made = filler.fill(state, frames[:, keys], [Fraction(i) for i in keys], [Fraction(i) for i in at[2:-2]])[
        0
    ]
    with torch.no_grad():
        fill = linear(frames[:, at], mask, at)
        own = recipe.answer(net, vae, fill, mask, torch.tensor(at) - at[0])
    torch.testing.assert_close(own[:, 2:-2], made, atol=1e-5, rtol=0)
    assert (own - fill).abs().max() > 1e-3
    latents = recipe.in_latents(recipe.filled(clips, GAPS, linear), vae)
    truth, coarse = recipe.sequence(latents, 2, torch.tensor([3]))
    assert truth.shape == (1, 5, 4, 4, 4)
    assert torch.equal((truth == coarse).flatten(2).all(2)[0], torch.tensor([True, True, False, True, True]))
