"""Wan 2.1's autoencoder as diffusers has it gives the same latents and pixels; files in either naming are imported."""

from functools import cache

import pytest
import torch
from diffusers import AutoencoderKLWan
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from safetensors.torch import load_file, save_file

from tween.core import TweenError
from tween.nn.vae import WAN, WanConfig, WanVAE
from tween.nn.vae.convert import (
    DIFFUSERS,
    FILE,
    MEAN,
    PUBLISHED,
    STD,
    convert,
    import_weights,
    theirs,
    user_cache,
    wan_vae,
)

NARROW = WanConfig(width=4, decoder_width=4)


@cache
def outside(latent=16, width=4, levels=(1, 2, 4, 4), blocks=2, time=(False, True, True)):
    """Theirs, with no weight at its initial value."""
    torch.manual_seed(0)
    net = AutoencoderKLWan(
        base_dim=width,
        z_dim=latent,
        dim_mult=list(levels),
        num_res_blocks=blocks,
        temperal_downsample=list(time),
        latents_mean=list(MEAN[:latent]),
        latents_std=list(STD[:latent]),
    ).eval()
    for p in net.requires_grad_(False).parameters():
        p += 0.1 * torch.randn_like(p)
    return net


def published(state, config):
    """Their state under the names of Wan2.1_VAE.pth, by our tables."""
    ours = [name for name in WanVAE(config).state_dict() if name not in ("mean", "std")]
    pairs = zip(theirs(ours, config, PUBLISHED), theirs(ours, config, DIFFUSERS), strict=True)
    return {there: state[here] for (_, there), (_, here) in pairs}


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"latent": 4, "width": 6, "levels": (1, 2, 2), "blocks": 1, "time": (True, True)},
        {"latent": 8, "levels": (1, 2, 3), "time": (False, True)},
    ],
)
def test_the_same_latents_and_pixels_as_diffusers(shape):
    net = outside(**shape)
    c = net.config
    config = WanConfig(
        latent=c.z_dim,
        width=c.base_dim,
        decoder_width=c.base_dim,
        multipliers=tuple(c.dim_mult),
        blocks=c.num_res_blocks,
        time=tuple(c.temperal_downsample),
    )
    ours = WanVAE(config).eval()
    ours.load_state_dict(convert(net.state_dict(), config, mean=c.latents_mean, std=c.latents_std))
    frames = torch.rand(2, 9, 3, 16, 24)
    if config.frames == 4:  # diffusers encodes by four frames, whatever the strides
        wanted = net.encode(frames.transpose(1, 2) * 2 - 1).latent_dist
        mean, log_variance, _ = ours.posterior(frames)
        torch.testing.assert_close(mean, wanted.mean.transpose(1, 2), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(log_variance, wanted.logvar.transpose(1, 2), atol=1e-5, rtol=1e-5)
        normalised = (wanted.mean.transpose(1, 2) - ours.mean.view(-1, 1, 1)) / ours.std.view(-1, 1, 1)
        torch.testing.assert_close(ours.encode(frames)[0], normalised, atol=1e-5, rtol=1e-5)
    latents = torch.randn(2, 3, config.latent, 2, 3)
    raw = latents * ours.std.view(-1, 1, 1) + ours.mean.view(-1, 1, 1)
    wanted = net.decode(raw.transpose(1, 2)).sample.transpose(1, 2) / 2 + 0.5
    made, _ = ours.decode(latents)
    assert made.shape == (2, 1 + config.frames * 2, 3, 2 * config.pixels, 3 * config.pixels)
    assert wanted.std() > 0.05
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=0)


def test_every_weight_of_the_real_size_has_its_place():
    with torch.device("meta"):
        state, ours = AutoencoderKLWan().state_dict(), WanVAE(WAN)
    converted = convert(state)
    assert {name: value.shape for name, value in converted.items()} == {
        name: value.shape for name, value in ours.state_dict().items()
    }
    assert sum(value.numel() for value in state.values()) == 126_892_531


def test_the_published_names_are_those_that_diffusers_reads():
    state = outside().state_dict()
    renamed = convert_wan_vae_to_diffusers(published(state, NARROW))
    assert renamed.keys() == state.keys()
    assert all(torch.equal(renamed[name], value) for name, value in state.items())


@pytest.mark.parametrize("name", ["Wan2.1_VAE.pth", "diffusion_pytorch_model.safetensors"])
def test_files_are_imported_into_the_cache(tmp_path, name, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    state, file = outside().state_dict(), tmp_path / name
    if name.endswith("pth"):
        torch.save(published(state, NARROW), file)
    else:
        save_file(state, file)
    path = import_weights(file, config=NARROW)
    assert path == tmp_path / "cache" / "tween" / FILE == user_cache() / FILE
    assert [p.name for p in path.parent.iterdir()] == [FILE]
    net = wan_vae(config=NARROW)
    assert not any(p.requires_grad for p in net.parameters())
    torch.testing.assert_close(net.mean, torch.tensor(MEAN))
    torch.testing.assert_close(net.std, torch.tensor(STD))
    wanted = convert(state, NARROW)
    assert all(torch.equal(value, wanted[key]) for key, value in net.state_dict().items())


def test_precision_is_kept(tmp_path):
    half = {key: value.half() for key, value in outside().state_dict().items()}
    save_file(half, tmp_path / "half.safetensors")
    path = import_weights(tmp_path / "half.safetensors", tmp_path, NARROW)
    assert {value.dtype for key, value in load_file(path).items() if key not in ("mean", "std")} == {
        torch.float16
    }


def test_mistakes(tmp_path):
    state = outside().state_dict()
    with pytest.raises(TweenError, match="not there; get them from https"):
        import_weights(tmp_path / "none.pth", tmp_path)
    with pytest.raises(TweenError, match=r"does not fit; give Wan2\.1_VAE\.pth"):
        convert(state)  # another width
    with pytest.raises(TweenError, match="does not fit"):
        convert({key: value for key, value in state.items() if key != "quant_conv.bias"}, NARROW)
    with pytest.raises(TweenError, match="more does not fit"):
        convert(state | {"decoder.more": torch.zeros(1)}, NARROW)
    with pytest.raises(TweenError, match="does not fit"):
        convert({"fc.weight": torch.zeros(1)}, NARROW)
    with pytest.raises(TweenError, match="by `tween models import wan-vae FILE`"):
        wan_vae(tmp_path)
    save_file(state, tmp_path / "vae.safetensors")
    (tmp_path / "file").touch()
    with pytest.raises(TweenError, match="could not write"):
        import_weights(tmp_path / "vae.safetensors", tmp_path / "file", NARROW)
