"""Sharpness against OpenCV, drift against pictures blurred by hand."""

import cv2
import pytest
import torch

from tween.core import TweenError
from tween.evaluate.drift import drift, sharpness


def noise(n, seed=0, h=24, w=32):
    return torch.rand(n, 3, h, w, generator=torch.Generator().manual_seed(seed))


def pooled(frames):
    return torch.nn.functional.adaptive_avg_pool2d(frames, 2)


def blurred(frames):
    return torch.nn.functional.avg_pool2d(frames, 3, 1, 1)


def test_sharpness_is_opencvs_variance_of_the_laplacian():
    frames = noise(3)
    for value, frame in zip(sharpness(frames), frames, strict=True):
        luma = (frame.permute(1, 2, 0).double().numpy() @ (0.299, 0.587, 0.114)) * 255
        theirs = cv2.Laplacian(luma, cv2.CV_64F)[1:-1, 1:-1].var(ddof=1)
        assert float(value) == pytest.approx(theirs, rel=1e-5)


def test_drift_is_seen_where_pictures_blur_and_not_where_they_stay():
    real, early, late = noise(40, 0), noise(40, 1), noise(40, 2)
    stays = drift(early, late, real, pooled, batch=16)
    assert 0.9 < stays.sharpness[1] / stays.sharpness[0] < 1.1
    assert stays.stays(0.6)
    softer = drift(early, blurred(late), real, pooled, batch=16)
    assert softer.sharpness[1] < 0.3 * softer.sharpness[0]
    assert not softer.stays()
    darker = drift(early, late * 0.5, real, pooled, batch=16)
    assert darker.frechet[1] > 3 * darker.frechet[0]
    assert not darker.stays(0.8)


def test_drift_compares_like_numbers():
    with pytest.raises(TweenError, match="windows of one length"):
        drift(noise(3), noise(4), noise(5), pooled)
