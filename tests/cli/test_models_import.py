"""`tween models import`: others' weights in, at their real size; what is not theirs is refused in a sentence."""

import pytest
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file

from tween.cli.main import main
from tween.nn.vae.convert import wan_vae


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tween"


@pytest.mark.long
def test_the_real_size(tmp_path, cache, capsys):
    with torch.device("meta"):
        shapes = AutoencoderKLWan().state_dict()
    state = {name: torch.full(value.shape, 0.01, dtype=torch.float16) for name, value in shapes.items()}
    state["quant_conv.bias"] = torch.arange(32.0).half()
    save_file(state, tmp_path / "vae.safetensors")
    assert main(["models", "import", "wan-vae", str(tmp_path / "vae.safetensors")]) == 0
    assert str(cache / "wan-vae.safetensors") in capsys.readouterr().out
    net = wan_vae()
    assert torch.equal(net.encoder[-1].bias, torch.arange(32.0))
    assert sum(p.numel() for p in net.parameters()) == 126_892_531


def test_mistakes(tmp_path, cache, capsys):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    for name, says in (("none.pth", "not there"), ("other.safetensors", "does not fit")):
        assert main(["models", "import", "wan-vae", str(tmp_path / name)]) == 2
        assert says in capsys.readouterr().err
    assert not cache.exists()
