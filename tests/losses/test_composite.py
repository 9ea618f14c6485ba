"""The plan's terms by phase, its weights and names; perceptual and geometry beside their definitions."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from tween.core import TweenError
from tween.losses import (
    CompositeWeights,
    census,
    charbonnier,
    composite,
    flow_smoothness,
    geometry,
    laplacian,
    perceptual,
    ssim_loss,
)
from tween.losses.image import soft_census


def levels(x):
    """Stands for VGG: five maps of different sizes that depend on the picture."""
    return [F.avg_pool2d(x, 2**k) * (k + 1) for k in range(5)]


@pytest.fixture
def case():
    g = torch.Generator().manual_seed(0)
    prediction = torch.rand(2, 3, 40, 48, generator=g).requires_grad_(True)
    truth, image0, image1 = torch.rand(3, 2, 3, 40, 48, generator=g)
    flow = 3 * torch.randn(2, 4, 40, 48, generator=g)
    flow.requires_grad_(True)
    filled = SimpleNamespace(prediction=prediction, flow_t0=flow[:, :2], flow_t1=flow[:, 2:])
    return filled, truth, image0, image1, flow


@pytest.mark.parametrize("phase", [1, 2, 3])
@pytest.mark.parametrize("vgg", [None, levels])
def test_terms_of_each_phase(case, phase, vgg):
    filled, truth, image0, image1, flow = case
    terms = composite(filled, truth, image0, image1, phase=phase, vgg=vgg)
    expected = {"loss_lap": laplacian(filled.prediction, truth), "loss_ter": census(filled.prediction, truth)}
    if vgg:
        expected["loss_vgg"] = 0.005 * perceptual(filled.prediction, truth, levels)
    if phase > 1:
        expected["loss_flow_smooth"] = 0.1 * flow_smoothness(flow, truth)
    assert list(terms) == list(expected)  # the names and the order that are logged
    torch.testing.assert_close(terms, expected)
    sum(terms.values()).backward()
    assert filled.prediction.grad.abs().sum() > 0
    assert (flow.grad is not None) == (phase > 1)


def test_weights_are_the_plan_s_and_zero_means_left_out(case):
    filled, truth, image0, image1, _ = case
    assert CompositeWeights() == CompositeWeights(lap=1.0, ter=1.0, vgg=0.005, flow_smooth=0.1)
    alone = CompositeWeights(lap=2.0, ter=0.0, vgg=0.0, flow_smooth=0.0)
    terms = composite(filled, truth, image0, image1, phase=2, weights=alone, vgg=levels)
    assert terms.keys() == {"loss_lap"}
    torch.testing.assert_close(terms["loss_lap"], 2 * laplacian(filled.prediction, truth))


def test_terms_beside_the_plan(case):
    filled, truth, image0, image1, _ = case
    terms = composite(
        filled, truth, image0, image1, phase=1, weights=CompositeWeights(charbonnier=0.5, ssim=0.25)
    )
    assert terms.keys() == {"loss_lap", "loss_ter", "loss_charbonnier", "loss_ssim"}
    torch.testing.assert_close(terms["loss_charbonnier"], 0.5 * charbonnier(filled.prediction, truth))
    torch.testing.assert_close(terms["loss_ssim"], 0.25 * ssim_loss(filled.prediction, truth))


def test_geometry_counts_where_it_has_a_weight_and_the_features_of_the_truth(case):
    filled, truth, image0, image1, _ = case
    made = [torch.rand(2, 4, 8, 10, requires_grad=True)]
    filled.context = made
    inner = torch.nn.Conv2d(3, 4, 3, 5)

    def context(image):
        return [inner(image)]

    weights = CompositeWeights(geometry=0.25)
    assert "loss_geometry" not in composite(filled, truth, image0, image1, phase=2, weights=weights)
    assert "loss_geometry" not in composite(filled, truth, image0, image1, phase=2, context=context)
    terms = composite(filled, truth, image0, image1, phase=2, weights=weights, context=context)
    torch.testing.assert_close(terms["loss_geometry"], 0.25 * geometry(made, context(truth)))
    terms["loss_geometry"].backward()
    assert made[0].grad.abs().sum() > 0
    assert inner.weight.grad is None  # nothing is learned from the truth


def test_perceptual_is_rife_s_sum():
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    b.requires_grad_(True)
    expected = 0.0
    for w, x, y in zip((1 / 2.6, 1 / 4.8, 1 / 3.7, 1 / 5.6, 10 / 1.5), levels(a), levels(b), strict=True):
        expected = expected + 0.1 * w * (x - y).abs().mean()
    loss = perceptual(a.requires_grad_(True), b, levels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert b.grad is None
    assert a.grad.abs().min() > 0
    assert perceptual(a, a, levels) == 0


def plain_census(a, b):
    """Every one of the 8 neighbours of every inner pixel of every channel."""
    total, count = 0.0, 0
    h, w = a.shape[-2:]
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy == dx == 0:
                continue
            signs = []
            for x in (a, b):
                d = x[..., 1 + dy : h - 1 + dy, 1 + dx : w - 1 + dx] - x[..., 1:-1, 1:-1]
                signs.append(d / (0.81 + d**2).sqrt())
            e = (signs[0] - signs[1]) ** 2
            total, count = total + (e / (0.1 + e)).mean(), count + 1
    return total / count


def test_geometry_is_the_census_of_features_channel_by_channel():
    g = torch.Generator().manual_seed(2)
    a, b = torch.randn(2, 1, 4, 400, 500, generator=g)
    # of a pair the window sees once and the definition twice, only the border's share differs
    torch.testing.assert_close(soft_census(a, b, 1), plain_census(a, b), atol=2e-4, rtol=0)
    small = [x[..., ::4, ::4] for x in (a, b)]
    torch.testing.assert_close(
        geometry([a, small[0]], [b, small[1]]), soft_census(a, b, 1) + soft_census(*small, 1)
    )


def test_geometry_sees_shape_not_level_and_leaves_the_truth_alone():
    a = torch.randn(1, 4, 16, 16)
    assert geometry([a], [a + 100.0]) < 1e-4
    truth = torch.randn(1, 4, 16, 16, requires_grad=True)
    made = a.clone().requires_grad_(True)
    loss = geometry([made], [truth])
    assert 0.1 < loss < 1
    loss.backward()
    assert truth.grad is None
    assert made.grad.abs().sum() > 0
    with pytest.raises(TweenError, match="level by level"):
        geometry([a], [a[..., 1:]])
    with pytest.raises(TweenError, match="level by level"):
        geometry([], [])
    with pytest.raises(TweenError, match="over 2 px"):
        geometry([a[..., :2]], [a[..., :2]])
