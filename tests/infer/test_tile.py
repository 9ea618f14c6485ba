"""Tiles: any size, no seam worth seeing, one state each, memory respected."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.infer.fakes import Linear
from tween.infer.memory import budget, fit, peak
from tween.infer.tile import Tiled
from tween.models.interp.baselines import Dis

TIMES = (Fraction(0), Fraction(1))
HALF = (Fraction(1, 2),)


def once(filler, known):
    b, _, c, h, w = known.shape
    state = filler.begin((b, c, h, w), seed=0, device="cpu", dtype=known.dtype)
    return filler.fill(state, known, TIMES, HALF)


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 8, 32]))
@settings(max_examples=30, deadline=None)
def test_any_size_is_padded_to_the_multiple(h, w, multiple):
    known = torch.rand(1, 2, 3, h, w)
    made, _ = once(Tiled(Linear(multiple=multiple)), known)
    assert torch.allclose(made[:, 0], known.mean(1), atol=1e-6)


@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from([1, 16]), st.integers(400, 40000))
@settings(max_examples=40, deadline=None)
def test_tiles_cover_the_frame_and_add_up(h, w, multiple, pixels):
    filler = Tiled(Linear(multiple=multiple), pixels=pixels, overlap=16)
    known = torch.rand(1, 2, 3, h, w)
    made, states = once(filler, known)
    assert torch.allclose(made[:, 0], known.mean(1), atol=1e-5)
    tiles = filler.tiles(filler.up(h), filler.up(w))
    assert len(states) == len(tiles)
    assert all(tile.h * tile.w <= max(pixels, 32 * 32) for tile in tiles)


def test_seams_are_bounded():
    """A texture moves by (5, 2) pixels a frame: tiles of DIS flow against the whole frame, and against the truth."""
    g = torch.Generator().manual_seed(0)
    wide = F.interpolate(torch.rand(1, 3, 20, 30, generator=g), (480, 720), mode="bicubic")[0].clamp(0, 1)
    at = [wide[:, 2 * i : 2 * i + 400, 5 * i : 5 * i + 600] for i in (0, 1, 2)]
    known, truth = torch.stack([at[0], at[2]])[None], at[1]
    whole, _ = once(Tiled(Dis()), known)
    filler = Tiled(Dis(), pixels=250 * 330)
    assert len(filler.tiles(400, 600)) >= 4
    tiled, _ = once(filler, known)
    inside = (..., slice(24, -24), slice(24, -24))
    assert (tiled - whole)[inside].abs().mean() < 1 / 255
    assert (tiled[0, 0] - truth)[inside].square().mean() < 1 / 255**2
    for tile in filler.tiles(400, 600):
        if tile.x:  # no step where a tile begins
            step = (tiled - whole)[0, 0, :, 24:-24, tile.x - 1 : tile.x + 1].diff(dim=-1)
            assert step.abs().mean() < 1 / 255


def test_each_tile_keeps_its_own_state():
    filler = Linear()
    tiled = Tiled(filler, pixels=40 * 40, overlap=8)
    known = torch.rand(1, 3, 3, 48, 64)
    state = tiled.begin((1, 3, 48, 64), seed=0, device="cpu", dtype=known.dtype)
    _, state = tiled.fill(state, known[:, :2], TIMES, HALF)
    before = filler.encoded
    tiled.fill(state, known[:, 1:], (Fraction(1), Fraction(2)), (Fraction(3, 2),))
    assert filler.encoded - before == len(tiled.tiles(48, 64)) > 1


def test_memory_decides():
    filler = Linear(multiple=32, bytes_per_pixel=1000)
    roomy, tight = fit(filler, 10**9), fit(filler, 10**8)
    assert len(roomy.tiles(736, 1280)) == 1
    assert len(tight.tiles(736, 1280)) > 1
    assert peak(tight, 720, 1280) <= 10**8 < peak(roomy, 720, 1280)


@pytest.mark.parametrize("free", [None, 1])
def test_unknown_or_tiny_memory(free):
    made, _ = once(fit(Linear(bytes_per_pixel=10), free), torch.rand(1, 2, 3, 300, 200))
    assert made.shape == (1, 1, 3, 300, 200)


def test_the_budget_of_this_machine():
    free = budget("cpu")
    assert free is None or 2**24 < free < 2**50
