"""Refiners are measured as the table says: by hand-made answers with known errors."""

import pytest
import torch

from tests.models.impute.toy import patch_net
from tween.core import TweenError
from tween.evaluate.impute import BATCH, Score, by, judged, markdown, score, summary, untouched
from tween.models.impute.fills_patches import idw
from tween.models.impute.patches import patches

PICTURES = torch.randint(0, 256, (12, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(12) % 3
TRUTH = patches(PICTURES.float() / 255, 2)


def eyes(x):
    return x.mean((2, 3))


def measured(*refine, count=4):
    real = judged(eyes, PICTURES)
    return score(refine, (PICTURES, LABELS), count, fill=idw, patch=2, judge=eyes, real=real)


def perfect(coarse, known, labels):
    return TRUTH


def test_the_truth_itself_has_no_error():
    found = measured(perfect)
    assert max(found.missing) == 0
    assert found.given == 0
    assert found.frechet == pytest.approx(0, abs=1e-6)
    assert found.spread == 0


def test_errors_are_told_apart():
    """0.1 off where it was missing, 0.2 where it was given."""
    found = measured(lambda coarse, known, labels: TRUTH + torch.where(known[..., None], 0.2, 0.1))
    assert found.missing == pytest.approx([0.01] * 12, rel=1e-4)
    assert found.given == pytest.approx(0.04, rel=1e-4)
    assert found.frechet > 1e-3


def test_a_fill_keeps_what_is_given_and_more_is_nearer():
    few, many = (measured(untouched, count=n) for n in (2, 12))
    assert few.given == many.given == 0
    assert sum(few.missing) > sum(many.missing)


def test_the_same_patches_are_given_to_every_method():
    seen = []

    def watch(coarse, known, labels):
        seen.append(known)
        return coarse

    measured(watch)
    measured(watch)
    assert torch.equal(*seen)
    assert (seen[0].sum(1) == 4).all()


def test_answers_of_a_style_differ_and_their_seed_repeats_them():
    net = patch_net(style=4)
    assert measured(by(net, seed=0), by(net, seed=1)).spread > 1e-5
    assert measured(by(net, seed=0)).missing == measured(by(net, seed=0)).missing
    assert len(PICTURES) < BATCH


def test_a_summary_is_over_seeds_and_pictures():
    scores = [Score(missing=(0.1, 0.3), given=0.0, frechet=f, spread=0.0) for f in (1.0, 3.0)]
    found = summary(scores)
    assert found["mse_missing"]["mean"] == pytest.approx(0.2)
    assert found["frechet"]["mean"] == 2.0
    assert found["frechet"]["half"] == pytest.approx(12.7062, rel=1e-4)  # Student's t of one degree times 1
    assert summary(scores[:1])["frechet"]["half"] is None
    table = markdown({"25%": {"drift": found}}, floor=0.5)
    assert "| 25% | drift | 0.20000 ±" in table
    assert "real pictures: 0.5." in table
    with pytest.raises(TweenError, match="a score or more"):
        summary([])
