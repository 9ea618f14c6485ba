"""What is shown of a network: the right frames in the right places, and flow in colours that can be read."""

import math

import pytest
import torch

from tests.models.interp.test_net import build
from tests.models.interp.toy import TOY, TOY1
from tests.recipes.test_thesis import scene
from tests.recipes.toy_feed import triples
from tween.recipes.pictures import flow_colours, pictures, shown

CPU = torch.device("cpu")


@pytest.mark.parametrize(("config", "sheets"), [(TOY1, ["frames"]), (TOY, ["frames", "motion"])])
def test_rows_of_frames(config, sheets):
    batch = triples(3, 2, (32, 48))
    modules = torch.nn.ModuleDict({"net": build(config)})
    made = pictures(modules, 0, shown=lambda: (batch.frames, batch.t))
    assert list(made) == sheets
    assert made["frames"].shape == (3, 2 * 32, 5 * 48)
    if "motion" in made:
        assert made["motion"].shape == (3, 2 * 32, 3 * 48)
    assert all(0 <= sheet.min() <= sheet.max() <= 1 for sheet in made.values())
    second = made["frames"][:, 32:].unflatten(2, (5, 48))
    image0, truth, image1 = batch.frames[1]
    assert torch.equal(second[:, :, 0], image0)
    assert torch.equal(second[:, :, 1], image1)
    assert torch.equal(second[:, :, 2], truth)
    with torch.no_grad():
        filled = modules["net"](batch.frames[1:, 0], batch.frames[1:, 2], batch.t[1:]).prediction.clamp(0, 1)
    torch.testing.assert_close(second[:, :, 3], filled[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        second[:, :, 4], (5 * (filled[0] - truth).abs()).clamp(max=1), atol=1e-4, rtol=0
    )


def test_directions_are_told_apart_and_lengths_are_saturation():
    angle = torch.arange(6) * math.pi / 3
    flow = 4 * torch.stack((angle.cos(), angle.sin())).view(1, 2, 1, 6)
    flow = torch.cat((flow, flow / 2, torch.zeros_like(flow)), 2)
    full, half, still = flow_colours(flow)[0].unbind(1)
    assert torch.equal(still, torch.ones(3, 6))
    torch.testing.assert_close(1 - half, (1 - full) / 2)
    apart = (full[:, :, None] - full[:, None]).abs().amax(0)
    assert apart[~torch.eye(6, dtype=bool)].min() > 0.2
    assert flow_colours(torch.full((1, 2, 2, 2), 1e-4)).min() > 0.99  # noise is no motion


def test_scenes_are_shown_where_there_are_any():
    def batch(index):
        return triples(index, 6)

    frames, t = shown([scene(), scene()], batch, CPU)
    assert frames.shape == (2, 3, 3, 64, 64)
    assert t.tolist() == [0.5, 0.5]
    assert torch.equal(frames[0], triples(5, 1).frames[0])
    frames, t = shown([], batch, CPU)
    assert torch.equal(frames, triples(0, 6).frames[:4])
