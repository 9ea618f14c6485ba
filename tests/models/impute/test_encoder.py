"""The encoder: a sample's features are its own, maps have the sizes that are said, and it learns classes."""

import pytest
import torch

from tests.models.impute.toy import encoder
from tween.engine import Optim, Run, train
from tween.models.impute.config import LATENT_MAE, RESNET18, EncoderConfig
from tween.models.impute.encoder import Encoder, EncoderTask


def test_a_samples_features_are_its_own():
    net, x = encoder(), torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(net.vector(x)[1:2], net.vector(x[1:2]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net.maps(x)["stage2"].mean((2, 3)), net.vector(x))
    assert net(x).shape == (3, 3)


def test_maps_halve_and_double():
    x = torch.rand(1, 4, 32, 32)
    found = Encoder(EncoderConfig(channels=4, width=8, blocks=(3, 4, 6, 3), groups=4)).maps(x, every=2)
    sizes = {name: tuple(value.shape[1:3]) for name, value in found.items() if "." not in name}
    assert sizes == {
        "stem": (8, 32),
        "stage1": (8, 32),
        "stage2": (16, 16),
        "stage3": (32, 8),
        "stage4": (64, 4),
    }
    assert [name for name in found if "." in name] == [
        "stage1.2",
        "stage2.2",
        "stage3.2",
        "stage3.4",
        "stage4.2",
    ]


@pytest.mark.parametrize(("config", "millions"), [(RESNET18, 11.17), (LATENT_MAE, 340.2)])
def test_parameters_are_those_of_basic_blocks(config, millions):
    with torch.device("meta"):
        assert sum(p.numel() for p in Encoder(config).parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("width", [6, 12, 40])
def test_any_width(width):
    assert Encoder(EncoderConfig(width=width, blocks=(1, 1)))(torch.rand(2, 3, 8, 8)).shape == (2, 10)


def test_it_learns_classes(tmp_path):
    colour = torch.eye(3)[..., None, None] * 0.5

    def batch(index):
        label = torch.randint(3, (32,))
        return colour[label] + 0.2 * torch.randn(32, 3, 8, 8), label

    task = EncoderTask(encoder())
    optim = Optim(lr=1e-2, warmup=3)
    train(Run(name="e", task=task, batch=batch, batch_size=32, steps=60, optim=optim, runs=tmp_path))
    x, label = batch(0)
    assert (task.modules["encoder"](x).argmax(1) == label).float().mean() > 0.9
