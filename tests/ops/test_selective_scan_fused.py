"""Mamba1's Triton kernels against the recurrence: in the interpreter here, on a GPU by `make test-gpu`."""

import pytest
import torch

from tests.ops.cases import scan_inputs, value_and_gradients
from tween.ops.selective_scan import fused, selective_scan, selective_scan_recurrent

pytest.importorskip("triton", reason="triton is for Linux; the test extra brings it there")
cpu_only = pytest.mark.skipif(
    torch.cuda.is_available(), reason="the interpreter's turn is where there is no GPU"
)


def compare(values, got, want, tolerance):
    for name, a, b in zip(("y", *values), got, want, strict=True):
        error = (a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-3)
        assert error <= tolerance, f"{name}: relative error {error:.2e}"


@pytest.fixture
def small_tiles(monkeypatch):
    """The interpreter scans one number at a time: the same kernel with smaller tiles, so several of them."""
    monkeypatch.setattr(fused, "TOKENS", 4)
    monkeypatch.setattr(fused, "CHANNELS", 4)


@cpu_only
@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "d", "n"), [(1, 3, 4), (11, 6, 3), (8, 4, 2)])
def test_is_the_recurrence(length, d, n, reverse):
    values = scan_inputs(length, b=1, d=d, n=n)
    want = value_and_gradients(selective_scan_recurrent, values, reverse=reverse)
    values = {k: v.detach().float().requires_grad_() for k, v in values.items()}
    got = value_and_gradients(selective_scan, values, reverse=reverse, impl="triton")
    compare(values, got, want, 1e-4)


@cpu_only
@pytest.mark.usefixtures("small_tiles")
def test_operators_keep_torchs_rules():
    """Schema, fake shapes, autograd registration and tracing, as torch itself checks a custom operator."""
    values = {k: v.detach().float().requires_grad_() for k, v in scan_inputs(5, b=1, d=2, n=2).items()}
    torch.library.opcheck(fused._forward, (*values.values(), False, True))
    assert fused._forward(*values.values(), False, False)[1].numel() == 0


@pytest.mark.gpu
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "d", "n"), [(1, 6, 4), (37, 18, 3), (512, 128, 16)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 3e-2)])
def test_on_a_gpu_is_the_recurrence(length, d, n, reverse, dtype, tolerance):
    wide = {"delta", "A", "D"}
    values = {k: v.detach().cuda() for k, v in scan_inputs(length, d=d, n=n).items()}
    values = {k: v.to(torch.float32 if k in wide else dtype).requires_grad_() for k, v in values.items()}
    truth = {k: v.detach().double().requires_grad_() for k, v in values.items()}
    want = value_and_gradients(selective_scan, truth, reverse=reverse, impl="torch")
    compare(values, value_and_gradients(selective_scan, values, reverse=reverse), want, tolerance)


@pytest.mark.gpu
def test_on_a_gpu_compiles_whole():
    values = {k: v.detach().float().cuda().requires_grad_() for k, v in scan_inputs(200, d=64, n=16).items()}
    got = value_and_gradients(torch.compile(selective_scan, fullgraph=True), values)
    compare(values, got, value_and_gradients(selective_scan, values), 1e-4)
