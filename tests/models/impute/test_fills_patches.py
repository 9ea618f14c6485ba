"""Fills of pictures: anchors bit by bit, the harmonic one against scipy, its maximum principle, what it gains."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import spsolve

from tests.models.impute.cases import generator, patches_and_mask, seeds
from tween.core import TweenError
from tween.models.impute.fills_patches import harmonic, idw, nearest, spacing
from tween.models.impute.masks import nested, patch_order

fills = pytest.mark.parametrize("fill", [nearest, idw, harmonic])


@fills
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_anchors_stay_and_the_rest_is_not_looked_at(fill, seed):
    patches, known = patches_and_mask(seed)
    made = fill(patches, known)
    assert made[known].equal(patches[known])
    hidden = torch.where(known[..., None], patches, torch.nan)
    assert fill(hidden, known).equal(made)


@fills
def test_pictures_are_filled_each_by_itself(fill):
    patches, known = patches_and_mask(3, b=4)
    alone = torch.cat([fill(patches[i : i + 1], known[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(fill(patches, known), alone, atol=1e-6, rtol=0)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_maximum_principle(seed):
    patches, known = patches_and_mask(seed, n=36)
    made = harmonic(patches, known, pull=0.0)
    given = known[..., None]
    low = patches.masked_fill(~given, torch.inf).amin(1, keepdim=True)
    high = patches.masked_fill(~given, -torch.inf).amax(1, keepdim=True)
    assert (made >= low - 1e-5).all()
    assert (made <= high + 1e-5).all()


@pytest.mark.parametrize("diagonal", [False, True])
def test_harmonic_is_the_solution_of_the_equation(diagonal):
    """Against a sparse solver, on a graph built edge by edge."""
    patches, known = patches_and_mask(7, b=1, n=24, d=2)
    rows, columns = 4, 6
    made = harmonic(patches, known, grid=(rows, columns), pull=1e-2, diagonal=diagonal)[0]
    begun, weights = idw(patches, known, grid=(rows, columns))[0].double().numpy(), np.zeros((24, 24))
    for u in range(24):
        for v in range(24):
            dy, dx = u // columns - v // columns, u % columns - v % columns
            if 0 < dy * dy + dx * dx <= (2 if diagonal else 1):
                unlike = ((begun[u] - begun[v]) ** 2).mean()
                weights[u, v] = max(1e-6, np.exp(-unlike / (2 * 0.2**2)) * np.exp(-(dy * dy + dx * dx) / 2))
    laplacian = csr_array(diags_array(weights.sum(1)) - weights)
    missing, anchors = (~known[0]).nonzero().flatten().numpy(), known[0].nonzero().flatten().numpy()
    matrix = laplacian[missing][:, missing] + 1e-2 * diags_array(np.ones(len(missing)))
    right = -laplacian[missing][:, anchors] @ patches[0, anchors].double().numpy() + 1e-2 * begun[missing]
    np.testing.assert_allclose(made[missing].numpy(), spsolve(matrix.tocsc(), right), atol=1e-5)


def step_and_ramp(b, k):
    """The picture of the facts, B7: a step edge and a ramp on 16x16, and k anchors of it."""
    x = torch.arange(16) / 15
    picture = (x[None] * 0.5 + (x[:, None] + 0.3 * x[None] > 0.65) * 1.0).reshape(1, 256, 1)
    return picture.expand(b, -1, -1), nested(patch_order(b, 256, generator=generator()), k)


@pytest.mark.parametrize("k", [32, 91, 152])
def test_harmonic_beats_inverse_distance(k):
    picture, known = step_and_ramp(16, k)

    def error(made):
        return (made - picture).square()[~known].mean().item()

    assert error(harmonic(picture, known)) < 0.9 * error(idw(picture, known))
    assert error(idw(picture, known, power=4)) < error(idw(picture, known))


def test_edges_help_where_much_is_known():
    picture, known = step_and_ramp(16, 152)
    error = [
        (harmonic(picture, known, sigma_feature=s) - picture).square().mean() for s in (0.2, float("inf"))
    ]
    assert error[0] < error[1]


def test_the_pull_is_towards_inverse_distance_not_to_zero():
    patches, known = patches_and_mask(1)
    torch.testing.assert_close(harmonic(patches, known, pull=1e6), idw(patches, known), atol=1e-4, rtol=0)


def test_a_plane_is_found_from_its_border():
    """What is linear has no Laplacian: exact inside when all of the border is given."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    plane = (0.3 * y - 0.2 * x + 1).reshape(1, 64, 1)
    border = ((y % 7 == 0) | (x % 7 == 0)).reshape(1, 64)
    made = harmonic(plane, border, sigma_feature=float("inf"), pull=0.0)
    torch.testing.assert_close(made, plane, atol=1e-5, rtol=0)


def test_the_grid_is_checked():
    patches, known = patches_and_mask(0, n=12)
    assert spacing(patches, (3, 4))[0, 5].item() == pytest.approx(2**0.5)
    with pytest.raises(TweenError, match="grid of 12 patches, but got 3 rows of 3"):
        idw(patches, known)
