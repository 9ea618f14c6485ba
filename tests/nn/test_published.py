"""Networks that read torchvision's files, and what is said where a file is not there."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from tween.core import TweenError
from tween.nn import alexnet as alexnet_module
from tween.nn import vgg as vgg_module
from tween.nn.alexnet import AlexNet, alexnet
from tween.nn.published import normalised
from tween.nn.vgg import Vgg19, vgg19

CASES = [
    # torchvision's own counts, of VGG-19's features less the three last convolutions, and of AlexNet's features
    (Vgg19, vgg19, 20_024_384 - 3 * (512 * 512 * 9 + 512), [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28]),
    (AlexNet, alexnet, 2_469_696, [0, 3, 6, 8, 10]),
]


@pytest.mark.parametrize(("build", "load", "count", "places"), CASES)
def test_named_and_sized_as_in_torchvision(build, load, count, places):
    with torch.device("meta"):
        net = build()
    assert sum(p.numel() for p in net.parameters()) == count
    assert [f"features.{i}.{p}" for i in places for p in ("weight", "bias")] == list(net.state_dict())


def plain_vgg(w, x):
    """Written out: convolutions of each block, then a pool."""
    x, taken = normalised(x), []
    for block in ([0, 2], [5, 7], [10, 12, 14, 16], [19, 21, 23, 25], [28]):
        for n, i in enumerate(block):
            x = F.relu(F.conv2d(x, w[f"features.{i}.weight"], w[f"features.{i}.bias"], padding=1))
            if n == 0:
                taken.append(x)
        x = F.max_pool2d(x, 2)
    return taken


def plain_alexnet(w, x):
    x, taken = normalised(x), []
    for i, how in ((0, (4, 2)), (3, (1, 2)), (6, (1, 1)), (8, (1, 1)), (10, (1, 1))):
        x = F.relu(F.conv2d(x, w[f"features.{i}.weight"], w[f"features.{i}.bias"], *how))
        taken.append(x)
        x = F.max_pool2d(x, 3, 2) if i in (0, 3) else x
    return taken


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize(
    ("build", "load", "plain"), [(Vgg19, vgg19, plain_vgg), (AlexNet, alexnet, plain_alexnet)]
)
def test_features_from_a_file(tmp_path, suffix, build, load, plain):
    torch.manual_seed(0)
    weights = {
        **build().state_dict(),
        "classifier.0.weight": torch.rand(3, 3),
    }  # what is not needed is passed over
    path = tmp_path / f"net.{suffix}"
    torch.save(weights, path) if suffix == "pth" else save_file(weights, path)
    net = load(path)
    assert not any(p.requires_grad for p in net.parameters())
    image = torch.rand(2, 3, 64, 48)
    for found, wanted in zip(net(image), plain(weights, image), strict=True):
        torch.testing.assert_close(found, wanted)


def test_rgb_by_imagenets_mean():
    image = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    assert normalised(image).abs().max() == 0
    shift = normalised(image + torch.tensor([0.229, 0.0, 0.0]).view(1, 3, 1, 1))
    torch.testing.assert_close(shift.flatten(), torch.tensor([1.0, 0.0, 0.0]))  # red is channel 0


@pytest.mark.parametrize(("module", "load"), [(vgg_module, vgg19), (alexnet_module, alexnet)])
def test_mistakes(tmp_path, monkeypatch, module, load):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(TweenError, match=f"get them from https://download.pytorch.org/models/{module.FILE}"):
        load()
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / module.FILE
    for content in (b"not a checkpoint at all", b"hi\n", b""):
        path.write_bytes(content)
        with pytest.raises(TweenError, match="cannot be read"):
            load()
    torch.save({"features.0.weight": torch.rand(2, 3, 3, 3)}, path)
    with pytest.raises(TweenError, match=r"features\.0\.weight does not fit"):
        load()
