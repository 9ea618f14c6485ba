"""Features: as many as the plan counted, and the moments that they say they are."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tests.models.impute.toy import encoder
from tween.models.impute.config import LIGHT, PAPER, RESNET18_LARGE, SEED, Taps
from tween.models.impute.encoder import Encoder
from tween.models.impute.features import chosen, count, features, moments


@pytest.mark.parametrize(
    ("side", "taps", "vectors"),
    [
        (64, LIGHT, 9),
        (64, SEED, 125),
        (64, replace(SEED, plain=True), 126),
        (256, replace(SEED, plain=True), 242),
    ],
)
def test_as_many_vectors_as_the_plan_counted(side, taps, vectors):
    net = Encoder(replace(RESNET18_LARGE, width=8, groups=4))
    with torch.no_grad():
        assert count(features(net, torch.rand(1, 3, side, side), taps)) == vectors


def test_moments_are_those_of_each_rectangle():
    x = torch.rand(2, 3, 5, 6, dtype=torch.float64)
    mean, std = moments(x, (2, 3))
    cells = F.unfold(x, (2, 3), stride=(2, 3)).unflatten(1, (3, 6))
    torch.testing.assert_close(mean, cells.mean(2).mT)
    torch.testing.assert_close(std, (cells.var(2, correction=0) + 1e-6).sqrt().mT)
    whole, spread = moments(x, (5, 6))
    torch.testing.assert_close(whole[:, 0], x.mean((2, 3)))
    torch.testing.assert_close(spread[:, 0], (x.var((2, 3), correction=0) + 1e-6).sqrt())


def test_the_papers_taps_have_stem_blocks_and_every_place():
    found = features(encoder(blocks=(2, 3)), torch.rand(2, 3, 8, 8), PAPER)
    assert {name.split("/")[0] for name in found} == {"input", "stem", "stage1", "stage2", "stage2.2"}
    assert found["stage1/cell"].shape == (2, 64, 8)
    assert found["stage2/mean4"].shape == (2, 1, 16)


def test_few_are_chosen_evenly():
    assert chosen(torch.arange(10.0)[None, :, None], 4)[0, :, 0].tolist() == [0, 3, 6, 9]


def test_windows_are_locations_and_samples_stay_apart():
    net, x = encoder(), torch.rand(3, 2, 3, 8, 8)
    found = features(net, x, Taps(plain=True))
    first = features(net, x[:, 0], Taps(plain=True))
    for name, value in found.items():
        assert value.shape[:2] == (3, 2 * first[name].shape[1])
        torch.testing.assert_close(value[:, : first[name].shape[1]], first[name], atol=1e-5, rtol=1e-4)
    alone = features(net, x[1:2], Taps())
    torch.testing.assert_close(alone["stage2/mean"], found["stage2/mean"][1:2], atol=1e-5, rtol=1e-4)


def test_without_an_encoder_there_are_plain_samples():
    assert set(features(None, torch.rand(2, 3, 4, 4), Taps(plain=True))) == {"input", "plain"}
