"""Mamba1's scan: recurrent == chunked == transformers' Mamba, in value and every gradient."""

import pytest
import torch

from tests.ops.cases import scan_inputs, value_and_gradients
from tween.core import TweenError
from tween.ops.selective_scan import selective_scan, selective_scan_recurrent


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 16, 45])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_chunked_is_the_recurrence(length, reverse, dtype, tolerance):
    values = scan_inputs(length)
    want = value_and_gradients(selective_scan_recurrent, values, reverse=reverse)
    values = {k: v.detach().to(dtype).requires_grad_() for k, v in values.items()}
    got = value_and_gradients(selective_scan, values, reverse=reverse, chunk=8)
    for name, a, b in zip(("y", *values), got, want, strict=True):
        error = (a.double() - b).abs().max() / b.abs().max().clamp(min=1e-3)
        assert error <= tolerance, f"{name}: relative error {error:.2e}"


def test_agrees_with_transformers_mamba():
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan  # a second to import: only here

    values = {k: v.detach().float() for k, v in scan_inputs(33).items()}
    turned = {k: values[k].mT for k in ("B", "C")} | {"A": values["A"], "D": values["D"]}
    want = mamba_selective_scan(hidden_states=values["u"].mT, dt=values["delta"].mT, **turned).mT
    torch.testing.assert_close(selective_scan(**values), want, rtol=1e-4, atol=1e-4)


def test_gradcheck():
    values = scan_inputs(6, b=1, d=2, n=2)
    for reverse in (False, True):
        assert torch.autograd.gradcheck(
            lambda *args, reverse=reverse: selective_scan(*args, chunk=4, reverse=reverse),
            tuple(values.values()),
        )


def test_half_precision_keeps_the_state_wide():
    values = {k: v.detach() for k, v in scan_inputs(300).items()}
    half = {k: v.bfloat16() if k in ("u", "B", "C") else v.float() for k, v in values.items()}
    want = selective_scan(**{k: v.double() for k, v in half.items()})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = selective_scan(**half)
    assert y.dtype == torch.bfloat16
    assert ((y.double() - want).norm() / want.norm()).item() < 2**-8


def test_wrong_shapes_are_told():
    values = {k: v.detach() for k, v in scan_inputs(8).items()}
    with pytest.raises(TweenError, match="selective_scan needs"):
        selective_scan(**(values | {"A": values["A"].mT}))


@pytest.mark.parametrize("reverse", [False, True])
def test_compiles_whole(reverse):
    values = {k: v.detach().float().requires_grad_() for k, v in scan_inputs(20).items()}
    compiled = torch.compile(selective_scan, backend="aot_eager", fullgraph=True)
    got, want = (value_and_gradients(f, values, chunk=4, reverse=reverse) for f in (compiled, selective_scan))
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
