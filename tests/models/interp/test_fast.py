"""`fast`: shapes at every size, work shared as its parts promise, and the released weights move things."""

import pytest
import torch
import torch.nn.functional as F

from tests.models.interp.toy import TOY_FAST, fast_net
from tween.metrics import psnr
from tween.models.interp.fast import (
    FastConfig,
    FastNet,
    Pyramid,
    Refiner,
    Synthesis,
    motion_size,
    rescale_flow,
)
from tween.zoo.load import WEIGHTS, read
from tween.zoo.registry import ZOO
from tween.zoo.selfcheck import moving_pattern


def images(b=2, h=64, w=96, seed=0):
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, b, 3, h // 8, w // 8, generator=g)
    return [F.interpolate(x, (h, w), mode="bilinear") for x in coarse]


@pytest.fixture(scope="module")
def net():
    return fast_net()


@pytest.fixture(scope="module")
def released():
    net = FastNet()
    net.load_state_dict(read(WEIGHTS / ZOO["fast"].file, ZOO["fast"].sha256))
    return net.eval()


@torch.no_grad()
def test_shapes(net):
    a, b = images()
    out = net(a, b, torch.tensor([0.3, 0.5]))
    assert out.prediction.shape == (2, 3, 64, 96)
    assert out.flow_t0.shape == out.flow_t1.shape == (2, 2, 64, 96)
    assert out.mask.shape == (2, 1, 64, 96)
    assert [tuple(x.shape) for x in out.levels] == [(2, 5, 4, 6), (2, 5, 8, 12), *2 * [(2, 5, 16, 24)]]
    assert out.hidden.shape == (2, TOY_FAST.refine[2], 16, 24)
    assert 0 <= out.mask.min() <= out.mask.max() <= 1
    assert out.prediction.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("motion", [(32, 64), (64, 64), (96, 128)])
def test_motion_at_another_size(net, motion):
    a, b = images(h=76, w=120)
    f0, f1 = (net.encode(x, motion) for x in (a, b))
    assert f0.last.shape[-2:] == (motion[0] // 32, motion[1] // 32)
    out = net.at(a, b, f0, f1, net.pair(f0, f1), torch.tensor([0.5, 0.5]))
    assert out.prediction.shape == (2, 3, 76, 120)
    assert out.flow_t0.shape == (2, 2, 76, 120)
    assert out.prediction.isfinite().all()


@torch.no_grad()
def test_the_parts_together_are_the_whole(net):
    a, b = images()
    t = torch.tensor([0.3, 0.7])
    size = tuple(a.shape[-2:])
    f0, f1 = net.encode(a, size), net.encode(b, size)
    pair = net.pair(f0, f1)
    parts, whole = net.at(a, b, f0, f1, pair, t), net(a, b, t)
    assert torch.equal(parts.prediction, whole.prediction)


@torch.no_grad()
def test_a_sample_does_not_see_its_neighbours(net):
    a, b = images(b=3)
    t = torch.tensor([0.2, 0.5, 0.9])
    alone = net(a[1:2], b[1:2], t[1:2])
    torch.testing.assert_close(net(a, b, t).prediction[1:2], alone.prediction, atol=1e-5, rtol=0)


@torch.no_grad()
def test_at_the_start_of_training_it_warps_and_blends():
    torch.manual_seed(0)
    net = FastNet(TOY_FAST)
    a, _ = images()
    out = net(a, a, torch.tensor([0.5, 0.5]))
    assert torch.equal(out.mask, torch.full_like(out.mask, 0.5))
    flat = torch.full_like(a, 0.3)
    torch.testing.assert_close(net(flat, flat, torch.tensor([0.5, 0.5])).prediction, flat)


def test_gradients_reach_every_part():
    net = fast_net().train()
    a, b = images()
    out = net(a, b, torch.tensor([0.3, 0.6]))
    (out.prediction.square().mean() + sum(level.square().mean() for level in out.levels)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@torch.no_grad()
def test_flow_that_every_level_adds_to_is_in_full_size_pixels(net):
    a, b = images()
    out = net(a, b, torch.tensor([0.5, 0.5]))
    quarter = F.avg_pool2d(torch.cat((out.flow_t0, out.flow_t1), 1), 4) / 4
    inner = (..., slice(2, -2), slice(2, -2))
    assert (quarter - out.levels[-1][:, :4])[inner].abs().mean() < 0.1 * quarter.abs().mean()


@pytest.mark.parametrize(
    ("size", "area", "expected"),
    [
        ((256, 384), 480 * 270, (320, 448)),
        ((270, 480), 480 * 270, (288, 480)),
        ((1080, 1920), 480 * 270, (288, 480)),
        ((2160, 3840), 480 * 270, (288, 480)),
        ((1920, 1080), 480 * 270, (480, 288)),
        ((64, 64), 480 * 270, (256, 256)),
        ((180, 320), 480 * 270, (288, 480)),
        ((2, 2), 480 * 270, (32, 32)),
    ],
)
def test_motion_size(size, area, expected):
    assert motion_size(*size, area) == expected


def test_rescale_flow_keeps_what_it_points_to():
    flow = torch.tensor([1.0, 2.0, -3.0, 0.5]).view(1, 4, 1, 1).expand(1, 4, 8, 10)
    out = rescale_flow(flow, (24, 20))
    assert out.shape == (1, 4, 24, 20)
    torch.testing.assert_close(out[0, :, 5, 5], torch.tensor([2.0, 6.0, -6.0, 1.5]))


def test_parts_by_themselves():
    quarter, eighth, sixteenth, last, finest = Pyramid((8, 12, 16, 20))(torch.rand(1, 3, 64, 96))
    shapes = [tuple(x.shape[1:]) for x in (quarter, eighth, sixteenth, last)]
    assert shapes == [(8, 16, 24), (12, 8, 12), (16, 4, 6), (20, 2, 3)]
    assert finest is quarter
    motion = torch.rand(1, 5, 4, 6)
    same, hidden = Refiner(7, 8, 2)([torch.rand(1, 2, 4, 6), motion], motion)
    assert torch.equal(same, motion)  # nothing is corrected before it has learnt to
    assert hidden.shape == (1, 8, 4, 6)
    logit, residual = Synthesis(8, 8)(torch.rand(1, 8, 4, 6), *torch.rand(2, 1, 3, 16, 24))
    assert logit.abs().max() == residual.abs().max() == 0
    assert residual.shape == (1, 3, 16, 24)


def test_released_weights_fit_their_entry(released):
    assert sum(p.numel() for p in released.parameters()) == ZOO["fast"].params
    assert released.config == FastConfig()


@torch.no_grad()
def test_released_weights_move_a_texture(released):
    a, b = moving_pattern().unbind(1)  # by (12, 4)
    out = released(a, b, torch.tensor([0.5]))
    inner = (..., slice(32, -32), slice(32, -32))
    flow = torch.cat((out.flow_t0, out.flow_t1), 1)[inner].flatten(2).median(-1).values[0]
    assert (flow[:2] + flow[2:]).abs().max() < 0.5  # there and back
    assert abs(flow[:2].norm() - torch.tensor([6.0, 2.0]).norm()) < 0.5
    truth = F.grid_sample(a, _shifted(flow[:2].sign() * torch.tensor([6.0, 2.0]), a), align_corners=True)
    made, mean = (psnr(x[inner], truth[inner]) for x in (out.prediction.clamp(0, 1), (a + b) / 2))
    assert made > mean + 6


def _shifted(v, image):
    h, w = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(h) + v[1], torch.arange(w) + v[0], indexing="ij")
    return torch.stack((x * 2 / (w - 1) - 1, y * 2 / (h - 1) - 1), -1)[None]


@torch.no_grad()
def test_half_precision_is_near(released):
    a, b = moving_pattern().unbind(1)
    t = torch.tensor([0.5])
    full = released(a, b, t).prediction
    half = FastNet().to(torch.bfloat16)
    half.load_state_dict(released.state_dict())
    half.blocks.float()
    assert (half.eval()(a, b, t).prediction - full).abs().mean() < 2 / 255
