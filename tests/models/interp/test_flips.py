"""Four answers and their mean."""

from fractions import Fraction

import pytest
import torch

from tests.models.interp.test_filler import frames
from tests.models.interp.toy import fast_net, quality_net
from tween.evaluate.cost import cost
from tween.evaluate.speed import counted
from tween.models.interp.filler import InterpFiller
from tween.models.interp.flips import FLIPS, Flipped

T = [Fraction(0), Fraction(1, 30), Fraction(1, 15)]
BETWEEN = [Fraction(1, 90), Fraction(1, 60)]


@pytest.fixture(scope="module")
def plain():
    return InterpFiller(fast_net())


@pytest.fixture(scope="module")
def refined():
    return InterpFiller(quality_net())


def fresh(filler, known):
    return filler.fill(begin(filler), known, T[:2], BETWEEN)[0]


def begin(filler):
    return filler.begin((1, 3, 48, 64), seed=0, device="cpu", dtype=torch.float32)


def test_it_is_the_mean_over_all_flips(plain):
    known = frames(n=2)[..., :48, :64]
    answers = [fresh(plain, known.flip(axes)).flip(axes) for axes in FLIPS]
    assert len({answer.mean().item() for answer in answers}) == 4  # or nothing would be gained
    torch.testing.assert_close(fresh(Flipped(plain), known), torch.stack(answers).mean(0))


@pytest.mark.parametrize("axes", FLIPS)
def test_a_flipped_scene_is_filled_by_the_flipped_frames(plain, axes):
    known = frames(n=2)[..., :48, :64]
    flipped = Flipped(plain)
    torch.testing.assert_close(
        fresh(flipped, known.flip(axes)), fresh(flipped, known).flip(axes), atol=1e-6, rtol=0
    )


def test_each_answer_has_a_state_of_its_own(plain, refined):
    known = frames(n=3)[..., :48, :64]
    flipped = Flipped(plain, refined)
    _, state = flipped.fill(begin(flipped), known[:, :2], T[:2], BETWEEN)
    assert len(state) == 5
    times = [t + T[1] for t in BETWEEN]
    kept, _ = flipped.fill(state, known[:, 1:], T[1:], times)
    torch.testing.assert_close(kept, flipped.fill(begin(flipped), known[:, 1:], T[1:], times)[0])


def test_a_refinement_is_asked_once_and_its_change_is_added(plain, refined):
    known = frames(n=2)[..., :48, :64]
    change = fresh(refined, known) - fresh(plain, known)
    assert change.abs().max() > 1e-3
    expected = (fresh(Flipped(plain), known) + change).clamp(0, 1)
    torch.testing.assert_close(fresh(Flipped(plain, refined), known), expected)


def test_it_says_what_it_needs_and_what_it_costs(plain, refined):
    flipped = Flipped(plain, refined)
    assert flipped.bytes_per_pixel == refined.bytes_per_pixel + 4 * plain.net.kept
    assert flipped.nets == [plain.net] * 4 + [refined.net]
    image = torch.empty(1, 3, 48, 64, device="meta")
    step = [
        sum(cost(net, image, image.clone(), image[:, 0, 0, 0]).flops_by_step.values())
        for net in (plain.net, refined.net)
    ]
    row = counted("quality", flipped, (48, 64))
    assert row.flops == 4 * step[0] + step[1]
    assert row.parameters == sum(p.numel() for p in refined.net.parameters())
