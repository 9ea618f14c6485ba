"""The flow estimator and the context that follows it."""

import pytest
import torch

from tests.models.interp.toy import frames
from tween.models.interp.context import ContextNet
from tween.models.interp.flow import FlowBlock, FlowEstimator
from tween.ops.warp import backward_warp


def estimator(seed=0) -> FlowEstimator:
    torch.manual_seed(seed)
    return FlowEstimator((8, 8, 8)).eval()


def test_flow_and_mask_are_sums_of_the_blocks():
    i0, i1, t = frames(1, 32, 32)
    net, said = estimator(), []
    for block in net.blocks:
        block.register_forward_hook(lambda _, __, out: said.append(out))
    with torch.no_grad():
        steps = net(i0, i1, t)
    for i, step in enumerate(steps):
        flow = sum(out[0] for out in said[: i + 1])
        torch.testing.assert_close(torch.cat((step.flow_t0, step.flow_t1), 1), flow)
        torch.testing.assert_close(step.mask_logit, sum(out[1] for out in said[: i + 1]))
        torch.testing.assert_close(step.warped_0, backward_warp(i0, step.flow_t0))
        torch.testing.assert_close(step.warped_1, backward_warp(i1, step.flow_t1))


@pytest.mark.parametrize("scale", [4, 2, 1, 0.5])
def test_a_block_answers_in_pixels_of_the_full_frame(scale):
    """A constant answer is scaled by 2 scale for flow, not at all for the mask, and keeps the frame's size."""
    block = FlowBlock(7, 8)
    torch.nn.init.zeros_(block.up.weight)
    torch.nn.init.ones_(block.up.bias)
    flow, mask = block(torch.rand(1, 7, 32, 48), None, scale)
    assert flow.shape == (1, 4, 32, 48)
    torch.testing.assert_close(flow, torch.full_like(flow, 2 * scale))
    torch.testing.assert_close(mask, torch.ones_like(mask))


def test_a_block_sees_flow_in_its_own_pixels():
    block, seen = FlowBlock(18, 8), []
    block.down.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    block(torch.zeros(1, 14, 32, 32), torch.full((1, 4, 32, 32), 8.0), 4)
    assert seen[0].shape == (1, 18, 8, 8)
    torch.testing.assert_close(seen[0][:, 14:], torch.full((1, 4, 8, 8), 2.0))


def test_time_matters():
    i0, i1, _ = frames(1, 32, 32)
    net = estimator()
    with torch.no_grad():
        early, late = (net(i0, i1, torch.tensor([t]))[-1] for t in (0.1, 0.9))
    assert not torch.equal(early.flow_t0, late.flow_t0)


def test_the_callers_scales_are_never_changed():
    i0, i1, t = frames(1, 32, 32)
    scales = [4, 2, 1]
    with torch.no_grad():
        first = estimator()(i0, i1, t, scales)[-1]
        second = estimator()(i0, i1, t, scales)[-1]
    assert scales == [4, 2, 1]
    assert torch.equal(first.flow_t0, second.flow_t0)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_context_moves_with_the_flow_at_every_level(stride):
    net = ContextNet(4, stride)
    features = net(torch.rand(1, 3, 64, 64))
    assert [f.shape[1:] for f in features] == [
        (4 * 2**i, 64 // stride // 2**i, 64 // stride // 2**i) for i in range(3)
    ]
    step = stride * 4  # one pixel of the coarsest level
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0] = step
    for i, (before, after) in enumerate(zip(features, net.warp(features, flow), strict=True)):
        shift = step // stride // 2**i
        torch.testing.assert_close(after[..., :-shift], before[..., shift:], atol=1e-4, rtol=1e-4)
