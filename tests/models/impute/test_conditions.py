"""Conditions: alpha follows its density, keyframes and text make one unit vector."""

import pytest
import torch

from tests.models.impute.toy import encoder
from tween.core import TweenError
from tween.models.impute.conditions import alphas, embedding


@pytest.mark.parametrize("power", [1.0, 3.0, 5.0])
def test_alpha_follows_its_density(power):
    drawn = alphas(20_000, power=power, most=4.0, generator=torch.Generator().manual_seed(0))
    assert drawn.min() >= 1
    assert drawn.max() <= 4
    x = torch.linspace(1, 4, 100_001, dtype=torch.float64)
    below = torch.cumsum(x**-power, 0) / (x**-power).sum()
    for at in (1.2, 2.0, 3.0):
        share = float((drawn < at).float().mean())
        assert share == pytest.approx(float(below[(x - at).abs().argmin()]), abs=0.015)


def test_a_share_is_unguided():
    drawn = alphas(4000, plain=0.5, generator=torch.Generator().manual_seed(0))
    assert float((drawn == 1).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert (alphas(50, most=1.0) == 1).all()
    with pytest.raises(TweenError, match="drawn from"):
        alphas(3, most=0.5)


def test_alpha_of_some_values():
    g = torch.Generator().manual_seed(0)
    drawn = alphas(4000, values=(1.0, 2.0, 4.0), shares=(0.5, 0.25, 0.25), generator=g)
    for value, share in ((1.0, 0.5), (2.0, 0.25), (4.0, 0.25)):
        assert float((drawn == value).float().mean()) == pytest.approx(share, abs=0.03)
    with pytest.raises(TweenError, match="a probability for each"):
        alphas(3, values=(1.0, 2.0), shares=(1.0,))


def clip(seed=0):
    return torch.rand(3, 4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


KNOWN = torch.tensor([[True, False, False, True], [False, True, True, False], [True, True, True, True]])


def test_only_keyframes_are_looked_at_and_their_order_counts():
    net, frames = encoder(), clip()
    h = embedding(net, frames, KNOWN)
    assert h.norm(dim=1) == pytest.approx(torch.ones(3), abs=1e-5)
    other = torch.where(KNOWN[..., None, None, None], frames, torch.rand_like(frames))
    torch.testing.assert_close(embedding(net, other, KNOWN), h)
    assert (embedding(net, frames.flip(1), KNOWN.flip(1)) - h).abs().max() > 1e-2


def test_text_joins_by_its_share():
    net, frames = encoder(), clip()
    text = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    other = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    assert embedding(net, frames, KNOWN, text).norm(dim=1) == pytest.approx(torch.ones(3), abs=1e-5)
    near, far = (
        (embedding(net, frames, KNOWN, text, share=s) - embedding(net, frames, KNOWN, other, share=s)).norm()
        for s in (0.1, 0.9)
    )
    assert float(far / near) == pytest.approx(3.0, rel=1e-4)
    with pytest.raises(TweenError, match="one embedding a clip, 3, but got 2"):
        embedding(net, frames, KNOWN, text[:2])


def test_single_frames_can_be_seen_in_another_form():
    net = encoder(channels=6)
    h = embedding(net, clip(), KNOWN, view=lambda frames: frames.repeat(1, 2, 1, 1))
    assert h.shape == (3, 2 * net.head.in_features)
