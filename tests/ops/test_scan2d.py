"""The four-direction scan: an exact inverse on any size, and what the released VFIMamba's un-merge does instead."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.ops.scan2d import flip_scan2d, published_scan2d, scan2d
from tween.ops.scan2d.reference import merge, split


def plane(b, h, w, f, c=3):
    return torch.arange(b * h * w * f * c, dtype=torch.float64).view(b, h, w, f, c)


def leaky_sum(sequence, reverse):
    """A branch whose result depends on order: a running sum that forgets, from either end."""
    x = sequence.flip(1) if reverse else sequence
    weight = torch.tril(0.9 ** (torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[1])).double())
    y = weight @ x
    return y.flip(1) if reverse else y


@settings(max_examples=20, deadline=None)
@given(b=st.integers(1, 2), h=st.integers(1, 9), w=st.integers(1, 9), f=st.integers(1, 3))
def test_merge_undoes_split(b, h, w, f):
    tokens = plane(b, h, w, f)
    assert torch.equal(merge(split(tokens), h, w, f), 4 * tokens)
    assert torch.equal(scan2d(tokens, lambda sequence, reverse: sequence), 4 * tokens)
    assert torch.equal(flip_scan2d(tokens, lambda sequence, reverse: sequence), 4 * tokens)


@pytest.mark.parametrize(("h", "w"), [(5, 7), (7, 4), (1, 6)])
def test_one_at_a_time_is_the_four_copies(h, w):
    tokens = torch.randn(2, h, w, 2, 3, dtype=torch.float64)
    copies = torch.stack([leaky_sum(s, False) for s in split(tokens)])
    torch.testing.assert_close(scan2d(tokens, leaky_sum), merge(copies, h, w, 2))


@pytest.mark.parametrize(("h", "w"), [(5, 7), (7, 4)])
def test_flip_scan_keeps_frames_apart(h, w):
    tokens = torch.randn(2, h, w, 2, 3, dtype=torch.float64)
    alone = torch.cat([scan2d(tokens[:, :, :, [k]], leaky_sum) for k in (0, 1)], dim=3)
    torch.testing.assert_close(flip_scan2d(tokens, leaky_sum), alone)


def test_frames_are_interleaved_by_place():
    seen = []

    def watch(sequence, reverse):
        seen.append((sequence, reverse))
        return sequence

    tokens = plane(1, 3, 5, 2)
    scan2d(tokens, watch)
    rows, _, columns, _ = (s for s, _ in seen)
    assert [reverse for _, reverse in seen] == [False, True, False, True]
    assert rows.data_ptr() == tokens.data_ptr()  # rows are a view: no copy
    assert torch.equal(rows[0, 2 * (1 * 5 + 3) + 1], tokens[0, 1, 3, 1])
    assert torch.equal(columns[0, 2 * (3 * 3 + 1) + 1], tokens[0, 1, 3, 1])


def test_branch_may_change_the_width():
    assert scan2d(plane(1, 3, 5, 2), lambda s, reverse: s[..., :1]).shape == (1, 3, 5, 2, 1)


@pytest.mark.parametrize(("h", "w"), [(16, 16), (6, 10), (16, 7)])
def test_released_vfimamba_unmerge_misplaces_three_quarters(h, w):
    """Its columns come back through view(B, C, W, H) although the sequence is (W, H, 2): 25 % land right."""
    tokens = plane(1, h, w, 2, 1)
    columns = split(tokens)[2, 0, :, 0]
    # released: each half of the 2 W H tokens is transposed as a plane, and the whole read as (H, W, 2)
    released = columns.view(2, w, h).transpose(1, 2).reshape(h, w, 2)
    at_home = (released == tokens[0, ..., 0]).double().mean()
    assert at_home == 0.25 if w % 2 == 0 else at_home < 0.5
    assert torch.equal(columns.view(w, h, 2).transpose(0, 1), tokens[0, ..., 0])
    ours = published_scan2d(tokens, lambda sequence, reverse: sequence)[0, ..., 0]
    assert torch.equal(
        ours, 2 * tokens[0, ..., 0] + 2 * released
    )  # rows stay, both directions of columns stray


@pytest.mark.parametrize(("h", "w"), [(5, 7), (4, 6)])
def test_the_published_scan_loses_no_token_but_its_place(h, w):
    tokens = torch.randn(2, h, w, 2, 3, dtype=torch.float64)
    published, corrected = published_scan2d(tokens, leaky_sum), scan2d(tokens, leaky_sum)
    assert published.shape == corrected.shape
    assert not torch.allclose(published, corrected)
    torch.testing.assert_close(published.sum((1, 2, 3)), corrected.sum((1, 2, 3)))
