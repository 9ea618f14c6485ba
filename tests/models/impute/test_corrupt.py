"""What is given is never touched, whatever the fill, the noise and the replacement of keyframes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.impute.cases import clip_and_mask, generator, patches_and_mask, seeds
from tween.core import TweenError
from tween.models.impute import fills_patches
from tween.models.impute.corrupt import by_distance, corrupt, corrupt_patches, gaussian, none
from tween.models.impute.fills import linear, nearest, slerp

noises = st.sampled_from([none, gaussian(0.5), by_distance(0.5), by_distance(0.5, reach=2)])


@settings(max_examples=60, deadline=None)
@given(seeds, noises, st.sampled_from([nearest, linear, slerp]), st.floats(0, 1))
def test_what_is_known_afterwards_is_as_it_was(seed, noise, fill, replace):
    clip, known = clip_and_mask(seed)
    proposals = clip + 1
    coarse, trusted = corrupt(
        clip, known, fill=fill, noise=noise, proposals=proposals, replace=replace, generator=generator(seed)
    )
    assert (trusted <= known).all()
    assert coarse[trusted].equal(clip[trusted])
    swapped = known & ~trusted
    assert coarse[swapped].equal(proposals[swapped])


@settings(max_examples=40, deadline=None)
@given(seeds, noises, st.sampled_from([fills_patches.nearest, fills_patches.idw, fills_patches.harmonic]))
def test_given_patches_are_never_touched(seed, noise, fill):
    patches, known = patches_and_mask(seed)
    coarse, same = corrupt_patches(patches, known, fill=fill, noise=noise, generator=generator(seed))
    assert same.equal(known)
    assert coarse[known].equal(patches[known])


@given(seeds)
def test_given_keyframes_are_never_replaced(seed):
    clip, known = clip_and_mask(seed)
    given = known & (torch.arange(6) < 3)
    coarse, trusted = corrupt(clip, known, proposals=clip + 1, replace=1.0, given=given)
    assert trusted.equal(given)
    assert coarse[given].equal(clip[given])


def test_keyframes_are_replaced_with_the_probability_asked_for():
    clip, known = torch.zeros(500, 8, 1, 1, 1), torch.ones(500, 8, dtype=torch.bool)
    _, trusted = corrupt(clip, known, proposals=clip, replace=0.3, generator=generator())
    assert trusted.float().mean().item() == pytest.approx(0.7, abs=0.03)


def test_what_is_filled_comes_from_the_proposals():
    clip = torch.zeros(1, 3, 1, 1, 1)
    known = torch.tensor([[True, False, True]])
    coarse, _ = corrupt(clip, known, proposals=clip + 1, replace=1.0)
    assert coarse.flatten().tolist() == [1, 1, 1]


def spread(noise, times=None):
    """Standard deviation of the noise on each of 5 frames, the ends given."""
    clip = torch.zeros(400, 5, 1, 4, 4)
    known = torch.tensor([True, False, False, False, True]).expand(400, -1)
    coarse, _ = corrupt(clip, known, noise=noise, times=times, generator=generator())
    return coarse.std((0, 2, 3, 4))


def test_how_much_noise():
    close = {"atol": 0.02, "rtol": 0}
    torch.testing.assert_close(spread(none), torch.zeros(5), atol=0, rtol=0)
    torch.testing.assert_close(spread(gaussian(0.5)), torch.tensor([0, 0.5, 0.5, 0.5, 0]), **close)
    torch.testing.assert_close(spread(by_distance(1.0)), torch.tensor([0, 0.5, 1, 0.5, 0]), **close)
    torch.testing.assert_close(
        spread(by_distance(1.0, reach=4)), torch.tensor([0, 0.25, 0.5, 0.25, 0]), **close
    )
    uneven = spread(by_distance(1.0), [0, 1, 2, 6, 8])  # distances 1, 2, 2
    torch.testing.assert_close(uneven, torch.tensor([0, 0.5, 1, 1, 0]), **close)


def test_noise_on_patches_grows_over_the_grid():
    patches, known = torch.zeros(400, 9, 16), (torch.arange(9) == 0).expand(400, -1)
    coarse, _ = corrupt_patches(patches, known, noise=by_distance(1.0), generator=generator())
    wanted = torch.tensor([[0, 1, 2], [1, 2**0.5, 5**0.5], [2, 5**0.5, 8**0.5]]).flatten() / 8**0.5
    torch.testing.assert_close(coarse.std((0, 2)), wanted, atol=0.02, rtol=0)


def test_the_same_seed_gives_the_same_corruption():
    clip, known = clip_and_mask(0)

    def made(seed):
        return corrupt(
            clip, known, noise=gaussian(1.0), proposals=-clip, replace=0.5, generator=generator(seed)
        )

    assert all(a.equal(b) for a, b in zip(made(1), made(1), strict=True))
    assert not made(1)[0].equal(made(2)[0])


@pytest.mark.parametrize(("proposals", "replace"), [(None, 0.5), (True, 1.5)])
def test_a_replacement_that_cannot_be(proposals, replace):
    clip, known = clip_and_mask(0)
    with pytest.raises(TweenError, match="probability in"):
        corrupt(clip, known, proposals=clip if proposals else None, replace=replace)
