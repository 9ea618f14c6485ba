"""The autoencoder's recipe trains from episodes, never across a cut, and validates as a session decodes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.stream.test_vae_task import TINY, texture
from tween.core import TweenError
from tween.data.episodes import Episodes, read, write
from tween.engine import train
from tween.metrics import psnr
from tween.nn.vae import WanVAE
from tween.recipes.vae import SHOWN, clips, fidelity, pictures, vae


def episodes(n=3, f=12, cut=6, size=(32, 48)):
    """Frame i of episode k is one grey, 20k + i; a cut in the middle."""
    grey = (20 * np.arange(n)[:, None] + np.arange(f)).astype(np.uint8)
    frames = np.ascontiguousarray(np.broadcast_to(grey[:, :, None, None, None], (n, f, *size, 3)))
    cuts = np.zeros((n, f), bool)
    cuts[:, [0, cut]] = True
    return Episodes(
        frames=frames,
        keys=np.zeros((n, f, 4), np.uint8),
        mouse=np.zeros((n, f, 2), np.float32),
        pose=np.zeros((n, f, 5), np.float32),
        cuts=cuts,
        about=tuple({"seed": k, "size": [size[1], size[0]], "rate": "12"} for k in range(n)),
    )


def test_three_steps(tmp_path):
    batch = clips(episodes(), length=5, batch_size=2, device="cpu")
    run = vae(
        batch=batch,
        held=texture(0, b=2, t=9),
        config=TINY,
        device="cpu",
        steps=3,
        batch_size=2,
        eval_interval=2,
        runs=tmp_path,
    )
    report = train(run)
    assert (report.step, report.finished, report.skipped) == (3, True, 0)
    assert report.metrics.keys() == {"psnr", "psnr_late", "latents"}
    assert 3 < report.best < 60
    names = {path.name for path in (tmp_path / "vae-small").rglob("*")}
    assert names >= {"last.safetensors", "best.safetensors", "log.jsonl", "report.md"}


def test_clips_follow_on_and_never_cross_a_cut():
    batch = clips(episodes(), length=5, batch_size=64, device="cpu", seed=3)
    one = batch(0)
    assert one.shape == (64, 5, 3, 32, 48)
    grey = (one[:, :, 0, 0, 0] * 255).round().long()
    assert (grey.diff(dim=1) == 1).all()
    first = grey[:, 0] % 20
    assert {*first.tolist()} == {0, 1, 6, 7}
    assert {*(grey[:, 0] // 20).tolist()} == {0, 1, 2}
    assert torch.equal(batch(0), one)
    assert not torch.equal(batch(1), one)
    assert not torch.equal(clips(episodes(), length=5, batch_size=64, device="cpu", seed=4)(0), one)


def test_clips_of_shards(tmp_path):
    made = episodes()
    write(tmp_path / "shards", [made])
    found = clips(read(tmp_path / "shards"), length=5, batch_size=4, device="cpu")(7)
    wanted = clips(made, length=5, batch_size=4, device="cpu")(7)
    torch.testing.assert_close(found, wanted, atol=2 / 255, rtol=0)  # JPEG


def test_mistakes():
    with pytest.raises(TweenError, match=r"1 \+ 4m frames, but got 6"):
        clips(episodes(), length=6, batch_size=2)
    with pytest.raises(TweenError, match="windows of 9 frames"):
        clips(episodes(), length=9, batch_size=2)


def test_validation_is_of_what_is_decoded():
    torch.manual_seed(0)
    net = WanVAE(TINY).eval()
    held = texture(0, b=2, t=9)
    with torch.no_grad():
        latents, _ = net.encode(held)
        made, _ = net.decode(latents)
    found = fidelity(torch.nn.ModuleDict({"vae": net}), 0, clips=held)
    each = psnr(made.flatten(0, 1), held.flatten(0, 1)).view(2, 9)
    assert found["psnr"] == pytest.approx(each.mean().item(), abs=1e-3)
    assert found["psnr_late"] == pytest.approx(each[:, -2:].mean().item(), abs=1e-3)
    rms = [latents[k].square().mean().sqrt().item() for k in range(2)]
    assert found["latents"] == pytest.approx(sum(rms) / 2, rel=1e-3)


def test_pictures_are_truth_result_and_difference():
    torch.manual_seed(0)
    net = WanVAE(TINY).eval()
    clip = texture(0, b=1, t=9)
    sheet = pictures(torch.nn.ModuleDict({"vae": net}), 0, clip=clip)["clip"]
    assert sheet.shape == (3, 3 * 32, SHOWN * 48)
    assert torch.equal(sheet[:, :32, :48], clip[0, 0])
    assert torch.equal(sheet[:, :32, -48:], clip[0, -1])
    made = net.decode(net.encode(clip)[0])[0].detach()
    torch.testing.assert_close(sheet[:, 32:64, -48:], made[0, -1], atol=1e-5, rtol=0)


def test_a_run_is_a_function_of_its_arguments(tmp_path):
    batch = clips(episodes(), length=5, batch_size=2, device="cpu")
    one, two = (vae(batch=batch, config=TINY, device="cpu", steps=3, runs=tmp_path) for _ in range(2))
    a, b = (run.task.modules.state_dict() for run in (one, two))
    assert all(torch.equal(a[name], b[name]) for name in a)
    other = vae(batch=batch, config=replace(TINY, width=6), device="cpu", steps=3, runs=tmp_path)
    assert other.task.modules["vae"].config.width == 6
    assert one.validate is None


def test_it_begins_with_what_principal_components_do(tmp_path):
    """Soft textures that move have few: what is not trained at all is near them, but for the first frame."""
    held = texture(50, b=2, t=9)
    run = vae(
        batch=lambda i: texture(i, b=2, t=9), learn=9, config=TINY, device="cpu", steps=3, runs=tmp_path
    )
    net = run.task.modules["vae"].eval()
    assert (net.linear.spread.diff() <= 0).all()
    found = fidelity(run.task.modules, 0, clips=held)
    bare = fidelity(torch.nn.ModuleDict({"vae": WanVAE(TINY).eval()}), 0, clips=held)
    assert found["psnr"] > bare["psnr"] + 5
