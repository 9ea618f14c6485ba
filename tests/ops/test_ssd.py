"""SSD: recurrent == chunked == streamed == transformers' Mamba2, in value, state and every gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.cases import NAMES, close, inputs, value_state_gradients
from tween.core import TweenError
from tween.ops.ssd import ssd, ssd_recurrent


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "h", "g"), [(1, 2, 1), (31, 1, 1), (64, 4, 2), (67, 3, 3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_chunked_is_the_recurrence(length, h, g, reverse, dtype, tolerance):
    values = inputs(length, h, g)
    want = value_state_gradients(ssd_recurrent, values, reverse=reverse)
    values = {k: v.detach().to(dtype).requires_grad_() for k, v in values.items()}
    got = value_state_gradients(ssd, values, reverse=reverse, return_state=True, chunk=16)
    close(got, want, tolerance)


@settings(max_examples=15, deadline=None)
@given(
    length=st.integers(1, 70),
    cut=st.integers(0, 70),
    chunk=st.sampled_from([4, 16, 32]),
    reverse=st.booleans(),
)
def test_streamed_is_whole(length, cut, chunk, reverse):
    cut = min(cut, length)
    values = {k: v.detach() for k, v in inputs(length).items()}
    state, A, D = values.pop("state"), values.pop("A"), values.pop("D")
    whole, last = ssd(**values, A=A, D=D, state=state, chunk=chunk, reverse=reverse, return_state=True)
    halves = [{k: v[:, part] for k, v in values.items()} for part in (slice(0, cut), slice(cut, None))]
    out = []
    for half in halves[::-1] if reverse else halves:
        if half["x"].shape[1]:
            y, state = ssd(**half, A=A, D=D, state=state, chunk=chunk, reverse=reverse, return_state=True)
            out.append(y)
    torch.testing.assert_close(torch.cat(out[::-1] if reverse else out, 1), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, last, rtol=1e-12, atol=1e-12)


def test_reverse_is_flip_scan_flip():
    values = {k: v.detach() for k, v in inputs(53).items()}
    flipped = {k: v.flip(1) if k in ("x", "dt", "B", "C") else v for k, v in values.items()}
    torch.testing.assert_close(ssd(**values, reverse=True), ssd(**flipped).flip(1), rtol=1e-12, atol=1e-12)


def test_agrees_with_transformers_mamba2():
    from transformers.models.mamba2.modeling_mamba2 import mamba2_chunk_scan  # a second to import: only here

    values = {k: v.detach().float() for k, v in inputs(75, 4, 2).items()}
    state = values.pop("state")
    published = {"hidden_states": values["x"], **{k: v for k, v in values.items() if k != "x"}}
    options = {"chunk_size": 16, "initial_states": state, "return_final_states": True}
    want, want_last = mamba2_chunk_scan(**published, **options)
    y, last = ssd(**values, state=state, return_state=True)
    torch.testing.assert_close(y, want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(last, want_last, rtol=1e-4, atol=1e-4)


def test_gradcheck():
    for reverse in (False, True):
        values = inputs(7, b=1, p=2, n=3)

        def run(*args, reverse=reverse):
            named = dict(zip(NAMES, args, strict=True))
            return ssd(**named, chunk=4, reverse=reverse, return_state=True)

        assert torch.autograd.gradcheck(run, tuple(values.values()))


def test_half_precision_keeps_decays_wide():
    """bf16 in, bf16 out; errors stay at bf16's own rounding (2^-8) although 500 tokens are summed."""
    values = {k: v.detach() for k, v in inputs(500, p=16, n=16).items()}
    half = {k: v.bfloat16() if k in ("x", "B", "C") else v.float() for k, v in values.items()}
    want = ssd(**{k: v.double() for k, v in half.items()})
    for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", dtype=torch.bfloat16)):
        with context:
            y, last = ssd(**half, return_state=True)
        assert y.dtype == torch.bfloat16
        assert last.dtype == torch.float32
        assert ((y.double() - want).norm() / want.norm()).item() < 2**-7


def test_huge_decay_has_finite_gradients():
    values = {k: v.detach().float().requires_grad_() for k, v in inputs(64).items()}
    y = ssd(**(values | {"dt": values["dt"] * 1e3}))
    gradients = torch.autograd.grad(y.sum(), list(values.values()))
    assert all(g.isfinite().all() for g in gradients)


def test_compiles_whole_and_for_any_length():
    """aot_eager traces forward and backward without a C++ compiler; fullgraph forbids a graph break."""
    values = {k: v.detach().float().requires_grad_() for k, v in inputs(40).items()}
    compiled = torch.compile(ssd, backend="aot_eager", fullgraph=True)
    got = value_state_gradients(compiled, values, return_state=True, chunk=16)
    close(got, value_state_gradients(ssd, values, return_state=True, chunk=16), 1e-6)


def test_wrong_shapes_are_told():
    values = {k: v.detach() for k, v in inputs(8).items()}
    with pytest.raises(TweenError, match="g dividing h"):
        ssd(**(values | {"A": values["A"][:1]}))
    with pytest.raises(TweenError, match="state"):
        ssd(**(values | {"state": values["state"][..., :1]}))
