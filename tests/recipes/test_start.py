"""A later phase takes over what fits, and tells all three kinds of tensors apart."""

import pytest
import torch
from torch import nn

from tween.core import TweenError
from tween.engine import checkpoint
from tween.recipes.start import Source, carry, find, source


def net(width=4, **parts):
    torch.manual_seed(len(parts) + width)
    return nn.ModuleDict({"back": nn.Linear(3, 4), "refine": nn.Linear(width, 2)} | parts)


def saved(path, module, dtype=torch.float32):
    values = {f"weights/net.{name}": value.to(dtype) for name, value in module.state_dict().items()}
    checkpoint.write(path, values, {"kind": "lean", "step": 7, "config": {}})
    return path


def test_what_fits_is_carried_and_all_is_told(tmp_path):
    old, new = net(old=nn.Linear(1, 1)), net(width=6, flow=nn.Linear(2, 2))
    before = new["refine"].weight.clone()
    carried = carry(new, Source(saved(tmp_path / "p.safetensors", old)))
    assert carried.loaded == ["back.weight", "back.bias", "refine.bias"]
    assert carried.new == ["refine.weight", "flow.weight", "flow.bias"]
    assert sorted(carried.left) == ["old.bias", "old.weight", "refine.weight"]
    assert torch.equal(new["back"].weight, old["back"].weight)
    assert torch.equal(new["refine"].weight, before)
    assert "3 loaded (back.weight 1, back.bias 1, refine.bias 1), 3 new (" in str(carried)


def test_half_precision_weights_serve_too(tmp_path):
    old, new = net(), net(width=6)
    carry(new, Source(saved(tmp_path / "p.safetensors", old, torch.float16)))
    assert torch.equal(new["back"].weight, old["back"].weight.half().float())


def test_parts_of_two_checkpoints(tmp_path):
    one, two, new = net(extra=nn.Linear(1, 1)), net(a=nn.Linear(1, 1), b=nn.Linear(1, 1)), net(width=4)
    first = source(f"{saved(tmp_path / 'one.safetensors', one)}:back,extra")
    assert first == Source(tmp_path / "one.safetensors", ("back", "extra"))
    second = source(str(saved(tmp_path / "two.safetensors", two)))
    carried = carry(new, second, first)  # the later one counts
    assert torch.equal(new["back"].weight, one["back"].weight)
    assert torch.equal(new["refine"].weight, two["refine"].weight)
    assert carried.new == []
    assert "one.safetensors:back,extra" in str(carried)
    with pytest.raises(TweenError, match="should have a part 'flow', but has back, extra, refine"):
        carry(new, Source(first.path, ("flow",)))


def test_nothing_that_fits(tmp_path):
    path = saved(tmp_path / "p.safetensors", nn.ModuleDict({"other": nn.Linear(2, 2)}))
    with pytest.raises(TweenError, match="holds nothing that fits"):
        carry(net(), Source(path))


def test_names_of_runs(tmp_path):
    for name in ("one/last", "one/best", "two_best/last"):
        saved(tmp_path / f"{name}.safetensors", net())
    assert find("one", tmp_path) == tmp_path / "one" / "last.safetensors"
    assert find("one_best", tmp_path) == tmp_path / "one" / "best.safetensors"
    assert find("two_best", tmp_path) == tmp_path / "two_best" / "last.safetensors"  # a run may be called so
    assert find(tmp_path / "x.safetensors", tmp_path) == tmp_path / "x.safetensors"
    with pytest.raises(TweenError, match=r"two/last.safetensors is not there; .* holds one, two_best"):
        find("two", tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x10\0\0\0\0\0\0\0{}" + b" " * 14])
def test_an_old_or_foreign_checkpoint_is_one_sentence(tmp_path, content):
    """The plans' own checkpoints were pickles (.pkl)."""
    path = tmp_path / "phase1_best.safetensors"
    path.write_bytes(content)
    with pytest.raises(TweenError, match="expected a checkpoint at") as said:
        carry(net(), Source(path))
    assert "\n" not in str(said.value)
