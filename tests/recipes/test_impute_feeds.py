"""Batches: samples mirrored as a whole, and keyframes that an earlier stage made."""

import pytest
import torch

from tween.models.impute.fills import linear
from tween.recipes.impute_feeds import Dealing, Keys, as_float, keyframes, worn

DEALING = Dealing(classes=2, generated=8, positives=4, anything=3)


def clips(n=40, t=9):
    return torch.randint(0, 256, (n, t, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()


def test_a_clip_is_mirrored_with_all_of_its_frames_or_not_at_all():
    torch.manual_seed(0)
    made, whole = as_float(clips(), axes=4), clips().float() / 255
    flipped = (made == whole.flip(-1)).flatten(2).all(2)
    assert torch.equal(flipped.any(1), flipped.all(1))
    assert 0 < flipped.all(1).float().mean() < 1
    single = as_float(clips()[:, 0])
    assert (single == whole[:, 0]).flatten(1).all(1).float().mean() < 1


def test_what_any_class_gives_is_mirrored_as_a_whole_too():
    batch = keyframes(
        clips(), torch.arange(40) % 2, classes=2, dealing=DEALING, keys=Keys(counts=[3], fill=linear)
    )
    torch.manual_seed(0)
    whole = clips().float() / 255
    for index in range(4):
        for clip in batch(index).anything:
            straight = (whole == clip).flatten(1).all(1) | (whole.flip(-1) == clip).flatten(1).all(1)
            assert straight.sum() == 1


def test_worn_keyframes_are_shown_filled_from_and_may_be_changed():
    fields = {"classes": 2, "dealing": DEALING}
    plain = Keys(counts=[5], fill=linear)
    known = {}
    for p in (0.0, 0.5, 1.0):
        keys = Keys(counts=[5], fill=linear, replace=p, propose=torch.zeros_like)
        torch.manual_seed(1)
        made = keyframes(clips(), torch.arange(40) % 2, keys=keys, **fields)(0)
        known[p] = float(made.known.float().mean())
        assert torch.equal(made.coarse[made.known], made.truth[made.known])
        if p == 1:
            assert made.coarse.abs().max() == 0  # all is filled from what was proposed
    torch.manual_seed(1)
    untouched = keyframes(clips(), torch.arange(40) % 2, keys=plain, **fields)(0)
    assert known[0.0] == float(untouched.known.float().mean()) == pytest.approx(5 / 9)
    assert 0.3 * known[0.0] < known[0.5] < 0.7 * known[0.0]
    assert known[1.0] == 0


def test_what_a_weaker_generator_makes_is_near_but_softer():
    clip = torch.rand(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    made = worn(clip, noise=0.01)
    assert made.shape == clip.shape
    assert 0.1 < (made - clip).square().mean().sqrt() < 0.35
    assert made.diff(dim=-1).abs().mean() < 0.7 * clip.diff(dim=-1).abs().mean()
