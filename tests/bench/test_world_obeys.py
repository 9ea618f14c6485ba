"""What is said of an autoencoder by many clips."""

import pytest
import torch
from bench.world_obeys import given_back

from tests.nn.vae.test_wan import TINY
from tween.nn.vae import WanVAE
from tween.recipes.vae import fidelity


def test_means_are_those_of_all_clips_and_the_error_that_of_the_mean():
    torch.manual_seed(0)
    codec, clips = WanVAE(TINY).eval(), torch.rand(3, 9, 3, 32, 32)
    clips[1] *= 0.3
    found, whole = given_back(codec, clips), fidelity(torch.nn.ModuleDict({"vae": codec}), 0, clips=clips)
    assert found["clips"] == 3
    assert {k: found[k] for k in whole} == pytest.approx(whole, rel=1e-5)
    each = [given_back(codec, clips[[i, i]])["psnr"] for i in range(3)]
    assert found["error"] == pytest.approx(torch.tensor(each).std().item() / 3**0.5, rel=1e-4)
    assert found["error"] > 0.1
