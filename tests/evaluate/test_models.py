"""Checkpoints as models: built by the config stored in them, with the weights they were trained to."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tween.core import TweenError
from tween.engine import checkpoint
from tween.engine.log import plain
from tween.evaluate.models import config_of, find, ready
from tween.models.interp.baselines import Blend
from tween.models.interp.config import NetConfig
from tween.models.interp.fast import FastConfig, FastNet
from tween.models.interp.filler import InterpFiller
from tween.models.interp.hybrid_filler import HybridFiller
from tween.models.interp.net import HybridNet
from tween.models.splat.config import SplatConfig
from tween.nn.lgs import BlockConfig

SMALL = {
    "hybrid": NetConfig(
        phase=2,
        width=8,
        depths=(1, 1, 1),
        block=BlockConfig(head_dim=4, d_state=8, headdim=8, drop_path=0.1),
        flow_widths=(8, 8, 8),
        context_width=4,
    ),
    "fast": FastConfig(synthesis=8, blocks=1),
}


@pytest.fixture(params=["hybrid", "fast"])
def trained(request, tmp_path):
    torch.manual_seed(0)
    config = SMALL[request.param]
    net = (HybridNet if request.param == "hybrid" else FastNet)(config)
    path = tmp_path / "runs" / "toy" / "best.safetensors"
    save(path, net, {"name": "toy", "configs": {"net": plain(config)}})
    return path, net.eval(), config


def save(path, net, config):
    """As the engine saves the best weights of a run."""
    modules = nn.ModuleDict({"net": net, "teacher": nn.Linear(2, 2)})
    values = {f"weights/{k}": v for k, v in modules.state_dict().items()}
    checkpoint.write(path, values, {"kind": "lean", "step": 1, "config": config})


def test_it_fills_as_the_network_that_was_saved(trained):
    path, net, config = trained
    filler = ready(str(path), device="cpu")
    assert filler.net.config == config
    expected = (HybridFiller if isinstance(net, HybridNet) else InterpFiller)(net)
    known, pictures = torch.rand(1, 2, 3, 64, 64), []
    for each in (filler, expected):
        state = each.begin((1, 3, 64, 64), seed=0, device="cpu", dtype=torch.float32)
        pictures.append(each.fill(state, known, (0, 1), (0.25,))[0])
    torch.testing.assert_close(*pictures)


def test_the_protocol_s_flow_scale_is_for_networks_without_a_rule(trained):
    path, net, _ = trained
    assert ready(str(path), device="cpu", suggested=0.5).scale == (0.5 if isinstance(net, HybridNet) else 1)
    assert ready(str(path), device="cpu", suggested=0.5, scale=0.25).scale == 0.25
    assert isinstance(ready("blend", suggested=0.5), Blend)


def test_names_of_runs(trained, tmp_path):
    path, *_ = trained
    runs = tmp_path / "runs"
    assert find("toy_best", runs) == path
    assert find("toy", runs) is None  # it has no last.safetensors
    (path.parent / "last.safetensors").write_bytes(path.read_bytes())
    assert find("toy", runs) == path.parent / "last.safetensors"
    assert find(str(path), runs) == path
    assert find("dis", runs) is None
    with pytest.raises(TweenError, match=r"no model 'toy2'; choose one of fast, .* or a run of .*: toy$"):
        ready("toy2", runs=runs)


def test_mistakes(trained, tmp_path):
    path, net, config = trained
    with pytest.raises(TweenError, match="is not there"):
        ready(str(tmp_path / "absent.safetensors"))
    with pytest.raises(TweenError, match="no model 'toy2'"):
        ready("toy2")
    for scale in (0, -1, 2):
        with pytest.raises(TweenError, match="scale should be above 0 and at most 1"):
            ready(str(path), scale=scale)
    with pytest.raises(TweenError, match="has colour, which is unknown"):
        config_of({**plain(config), "colour": "red"}, path)
    with pytest.raises(TweenError, match="has teeth, which is unknown"):
        config_of({**plain(config), "block": {"teeth": 3}}, path)
    save(path, net, {})
    with pytest.raises(TweenError, match="stores no config"):
        ready(str(path))
    other = replace(config, block=replace(config.block, gate="element"))
    save(path, net, {"configs": {"net": plain(other)}})
    with pytest.raises(TweenError, match="no place for"):
        ready(str(path))


def test_every_config_survives_being_stored(tmp_path):
    from tween.models.interp.config import THESIS, ablations
    from tween.models.interp.quality import QualityConfig

    for config in (THESIS, QualityConfig(), FastConfig(), SplatConfig(), *ablations().values()):
        assert config_of(plain(config), tmp_path) == config
