"""Whatever happens to a sample, its flow still leads from the frame at t to the other two."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.core import TweenError
from tween.data.augment import augment, crop
from tween.data.source import Sample
from tween.ops.warp import backward_warp


def moving(h: int, w: int, t: float = 0.25, step: tuple[int, int] = (8, -4)) -> Sample:
    """A texture that moves by `step` (x, y) from frame 0 to frame 1."""
    dx, dy = step
    noise = torch.randint(0, 256, (3, h + 32, w + 32), generator=torch.Generator().manual_seed(1)).byte()
    places = [(16 - round(dx * s), 16 - round(dy * s)) for s in (0, t, 1)]
    frames = torch.stack([noise[:, y : y + h, x : x + w] for x, y in places])
    flow = torch.tensor((-dx * t, -dy * t, dx * (1 - t), dy * (1 - t))).view(4, 1, 1).expand(4, h, w)
    return Sample(frames, t, flow.clone())


def error(sample: Sample) -> float:
    """Mean difference, in levels, of the middle frame to both others brought there, away from the border."""
    first, middle, last = sample.frames.float()[:, None]
    inner = (..., slice(9, -9), slice(9, -9))
    pairs = ((first, sample.flow[:2]), (last, sample.flow[2:]))
    return max(float((backward_warp(f, flow[None]) - middle)[inner].abs().mean()) for f, flow in pairs)


def test_the_measure_sees_a_wrong_flow():
    sample = moving(40, 40)
    assert error(sample) < 1e-2
    assert error(sample._replace(flow=-sample.flow)) > 20


@given(seed=st.integers(0, 2**31), square=st.booleans())
@settings(max_examples=60, deadline=None)
def test_flow_and_time_stay_true(seed, square):
    g = torch.Generator().manual_seed(seed)
    size = (40, 40) if square else (40, 48)
    sample = augment(crop(moving(56, 60), size, g), g)
    assert sample.frames.shape == (3, 3, *size)
    assert sample.flow.shape == (4, *size)
    assert error(sample) < 1e-2
    near, far = (float(sample.flow[i : i + 2].norm(dim=0).mean()) for i in (0, 2))
    assert near / (near + far) == pytest.approx(sample.t)


def test_every_change_happens_and_a_state_gives_one_sample():
    seen = set()
    for seed in range(300):
        one, two = (augment(moving(24, 24), torch.Generator().manual_seed(seed)) for _ in range(2))
        assert torch.equal(one.frames, two.frames)
        seen.add(one.frames.numpy().tobytes())
    assert len(seen) == 32  # 8 ways to lie, 2 of time, 2 of colour


def test_a_crop_that_does_not_fit():
    with pytest.raises(TweenError, match="64x32"):
        crop(moving(40, 40), (64, 32), torch.Generator())
