"""LPIPS beside torchmetrics, with the published linear weights; the network's own weights are random here."""

import pytest
import torch
import torchmetrics.functional.image.lpips as outside
from torch import nn

from tween.core import TweenError
from tween.metrics import load_lpips as ours
from tween.nn.alexnet import AlexNet


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("alex") / "alexnet.pth"
    torch.save(AlexNet().state_dict(), path)
    return path


def test_equals_torchmetrics(net, monkeypatch):
    made = ours(net)
    layers = nn.Sequential(*made.net.features, nn.MaxPool2d(3, 2))
    monkeypatch.setattr(outside, "_get_tv_model_features", lambda *_, **__: layers)
    theirs = outside._NoTrainLpips(net="alex")
    a, b = torch.rand(2, 3, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    expected = theirs(a, b, normalize=True).flatten()
    torch.testing.assert_close(made(a, b), expected, atol=1e-6, rtol=1e-4)
    assert (expected > 1e-4).all()
    assert made(a, a).tolist() == [0, 0, 0]


def test_mistakes(net, tmp_path, monkeypatch):
    with pytest.raises(TweenError, match="31 px"):
        ours(net)(torch.rand(1, 3, 30, 40), torch.rand(1, 3, 30, 40))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(TweenError, match="alexnet-owt-7be5be79"):
        ours()
    with pytest.raises(TweenError, match="weights for AlexNet"):
        ours(net, linear=net)
    monkeypatch.setattr("tween.metrics.lpips.SHIPPED", {})
    with pytest.raises(TweenError, match="pip install torchmetrics"):
        ours(net)
