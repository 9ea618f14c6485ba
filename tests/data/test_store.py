"""Frames in one buffer: what was put in comes out, between pixels and beyond the border as the docstring says."""

import numpy as np
import pytest
import torch

from tween.data.store import FrameStore, sample
from tween.ops.warp import pixel_grid

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (n, h, w, 3), np.uint8) for n, h, w in ((3, 12, 20), (2, 9, 7), (1, 16, 16))]


@pytest.fixture(scope="module")
def store(clips):
    return FrameStore.build(clips, CPU)


def grid(h, w):
    return pixel_grid(h, w, CPU).permute(0, 2, 3, 1)


def pick(store, frame, position, zoom=1.0):
    return sample(store, torch.tensor([frame]), position, torch.tensor([zoom]))[0]


def pixels(clip, i):
    return torch.from_numpy(clip[i]).permute(2, 0, 1) / 255


@pytest.mark.parametrize(("frame", "clip", "inside"), [(0, 0, 0), (2, 0, 2), (3, 1, 0), (4, 1, 1), (5, 2, 0)])
def test_whole_positions_are_the_pixels(store, clips, frame, clip, inside):
    picture = pixels(clips[clip], inside)
    torch.testing.assert_close(pick(store, frame, grid(*picture.shape[1:])), picture, atol=1e-6, rtol=0)


def test_between_pixels_is_bilinear(store, clips):
    picture = pixels(clips[0], 1)
    position = torch.tensor([4.25, 7.5]).view(1, 1, 1, 2)
    top = 0.75 * picture[:, 7, 4] + 0.25 * picture[:, 7, 5]
    bottom = 0.75 * picture[:, 8, 4] + 0.25 * picture[:, 8, 5]
    torch.testing.assert_close(pick(store, 1, position).flatten(), (top + bottom) / 2)


@pytest.mark.parametrize("shift", [-5, 5])
def test_beyond_the_border_is_the_mirror_image(store, clips, shift):
    picture = pixels(clips[0], 0).numpy()
    h, w = picture.shape[1:]
    padded = np.pad(picture, ((0, 0), (5, 5), (5, 5)), mode="reflect")
    expected = padded[:, 5 + shift : 5 + shift + h, 5 + shift : 5 + shift + w]
    torch.testing.assert_close(pick(store, 0, grid(h, w) + shift), torch.tensor(expected), atol=1e-6, rtol=0)


def test_far_beyond_the_border_stays_inside_the_frame(store):
    found = pick(store, 3, torch.randn(1, 64, 64, 2) * 1e4)
    assert found.isfinite().all()
    assert 0 <= found.min() <= found.max() <= 1


def test_half_size_is_read_below_zoom_07(store, clips):
    full = pixels(clips[0], 0)
    half = full.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).mean((2, 4))
    where = grid(6, 10) * 2 + 0.5  # centres of the half-size pixels
    torch.testing.assert_close(pick(store, 0, where, 0.69), half, atol=0.6 / 255, rtol=0)
    torch.testing.assert_close(pick(store, 0, where, 0.71), half, atol=1e-6, rtol=0)  # four pixels' mean
    spread = [pick(store, 0, grid(12, 20), zoom).std() for zoom in (0.69, 0.71)]
    assert spread[0] < 0.8 * spread[1]


def test_half_size_of_an_odd_size_lies_where_the_full_size_does():
    ramp = np.linspace(0, 250, 13).astype(np.uint8)
    clip = np.broadcast_to(ramp[None, None, :, None], (1, 11, 13, 3))
    store = FrameStore.build([clip], CPU)
    inner = grid(11, 13)[:, 3:-3, 3:-3]
    torch.testing.assert_close(pick(store, 0, inner, 0.5), pick(store, 0, inner, 1.0), atol=1.5 / 255, rtol=0)


def test_batches_of_any_shape(store):
    frame = torch.tensor([[0, 1, 2], [5, 4, 3]])
    position = torch.rand(2, 3, 4, 6, 2) * 8
    found = sample(store, frame, position, torch.full((2, 3), 0.5))
    assert found.shape == (2, 3, 3, 4, 6)
    alone = sample(store, frame[1, 2], position[1, 2], torch.tensor(0.5))
    torch.testing.assert_close(found[1, 2], alone)


def test_offsets_beyond_32_bits(clips):
    """A frame that begins past 2^31 is addressed there: the index is never computed in 32 bits."""

    class Words:
        """A buffer too large for a test, of which only the indices are wanted."""

        def __getitem__(self, index):
            self.seen = index
            return torch.zeros(index.shape, dtype=torch.int32)

    begin = 5 * 2**31 + 3
    words = Words()
    store = FrameStore(
        pixels=words,
        offset=torch.tensor([[0, begin], [0, begin]]),
        size=torch.tensor([[[12, 20], [12, 20]], [[6, 10], [6, 10]]]),
    )
    sample(store, torch.tensor([1]), grid(12, 20), torch.ones(1))
    assert words.seen.dtype == torch.int64
    assert words.seen.max() == begin + 12 * 20 - 1  # exact: float32 could not hold it


def test_frames_lie_without_a_gap(clips):
    store = FrameStore.build(clips, CPU)
    assert store.offset.dtype == store.size.dtype == torch.int64
    ends = (store.offset + store.size.prod(-1)).flatten()
    begins = store.offset.flatten()
    assert set(begins.tolist()) - {0} <= set(ends.tolist())  # without a gap
    assert ends.max() == len(store.pixels)
