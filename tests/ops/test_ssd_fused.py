"""The Triton kernels against the recurrence: in the interpreter here, and on a GPU by `make test-gpu`."""

import pytest
import torch

from tests.ops.cases import close, inputs, value_state_gradients
from tween.ops.ssd import fused, ssd, ssd_recurrent

triton = pytest.importorskip("triton", reason="triton is for Linux; the test extra brings it there")
from triton import language as tl  # noqa: E402

from tween.ops.ssd import kernel  # noqa: E402

CUDA = torch.cuda.is_available()
cpu_only = pytest.mark.skipif(CUDA, reason="the interpreter's turn is where there is no GPU")


def leaves(values, dtype, device="cpu"):
    return {k: v.detach().to(device, dtype).requires_grad_() for k, v in values.items()}


@cpu_only
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "h", "g"), [(1, 2, 1), (35, 4, 2), (24, 3, 3)])
@pytest.mark.parametrize("programs", [1, 512])  # one run a sequence, and as many runs as chunks
def test_is_the_recurrence(length, h, g, reverse, programs, monkeypatch):
    monkeypatch.setattr(fused, "PROGRAMS", programs)
    values = inputs(length, h, g, b=1)
    want = value_state_gradients(ssd_recurrent, values, reverse=reverse)
    options = {"reverse": reverse, "return_state": True, "chunk": 16, "impl": "triton"}
    close(value_state_gradients(ssd, leaves(values, torch.float32), **options), want, 1e-4)


@cpu_only
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("length", "h", "g", "programs", "runs", "per"),
    [
        (117, 1, 1, 3, 2, 4),  # 8 chunks, the last of 5 tokens
        (100, 1, 1, 6, 3, 3),  # 7 chunks: two of the last run lie beyond the end
        (130, 2, 1, 12, 3, 3),  # 9 chunks, heads that share B and C
        (49, 4, 2, 4, 1, 4),  # one run, all of it from the last state's gradient
    ],
)
def test_runs_of_several_chunks(length, h, g, programs, runs, per, reverse, monkeypatch):
    """Two sequences in all, so that a run, a head or a chunk taken for another's would show."""
    monkeypatch.setattr(fused, "PROGRAMS", programs)
    assert fused._cut(2 * h, length, 16) == (runs, per)
    values = inputs(length, h, g)
    want = value_state_gradients(ssd_recurrent, values, reverse=reverse)
    options = {"reverse": reverse, "return_state": True, "chunk": 16, "impl": "triton"}
    close(value_state_gradients(ssd, leaves(values, torch.float32), **options), want, 1e-4)


@cpu_only
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("chunk", "programs"), [(64, 512), (16, 8)])  # 2 runs of a chunk, and of 3 chunks
def test_half_precision(chunk, programs, reverse, monkeypatch):
    """fp16, which the interpreter multiplies as a GPU does; its own rounding is 2^-11."""
    monkeypatch.setattr(fused, "PROGRAMS", programs)
    wide = {"dt", "A", "D", "state"}
    values = {k: v.detach().to(torch.float32 if k in wide else torch.float16) for k, v in inputs(67).items()}
    want = value_state_gradients(ssd, leaves(values, torch.float64), reverse=reverse, return_state=True)
    options = {"reverse": reverse, "return_state": True, "chunk": chunk, "impl": "triton"}
    close(
        value_state_gradients(ssd, {k: v.requires_grad_() for k, v in values.items()}, **options), want, 4e-3
    )


@cpu_only
def test_without_gradients_states_are_not_kept():
    values = {k: v.detach().float() for k, v in inputs(40).items()}
    y, last = ssd(**values, chunk=7, impl="triton", return_state=True)
    want, want_last = ssd(**values, chunk=7, return_state=True)
    torch.testing.assert_close(y, want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(last, want_last, rtol=1e-4, atol=1e-4)


@cpu_only
@pytest.mark.parametrize("asked", [0, 1])
def test_values_or_the_state_alone_have_gradients(asked):
    """What is not asked for sends no gradient; x is a strided view, and some steps leave the state untouched."""
    values = {k: v.detach().float().requires_grad_() for k, v in inputs(30, p=6).items()}
    values["dt"].detach()[:, 7:11] = 0
    names = ("x", "dt", "A", "B", "C", "D")[: 4 if asked else 6]  # the state knows neither C nor D
    gradients = []
    for impl in ("triton", "torch"):
        options = values | {"x": values["x"][..., ::2], "state": None}
        out = ssd(**options, chunk=16, return_state=True, impl=impl)[asked]
        gradients.append(torch.autograd.grad(out.square().sum(), [values[k] for k in names]))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@cpu_only
@pytest.mark.parametrize("reverse", [False, True])
def test_columns_of_one_wide_tensor_are_read_in_place(reverse, monkeypatch):
    """As a convolution leaves x, B and C side by side; none of them is copied, forward or backward."""
    v = {k: t.detach().float() for k, t in inputs(37, h=2, p=4, n=8).items()}
    wide = torch.cat([v[k].flatten(2) for k in "xBC"], -1).requires_grad_()
    seen = []
    rows = fused._rows
    monkeypatch.setattr(fused, "_rows", lambda t: seen.append((t, rows(t))) or seen[-1][1])
    results = []
    for impl in ("triton", "torch"):
        x, B, C = wide.split([8, 8, 8], -1)
        y = ssd(
            x.unflatten(-1, (2, 4)),
            v["dt"],
            v["A"],
            B[:, :, None],
            C[:, :, None],
            chunk=16,
            reverse=reverse,
            impl=impl,
        )
        results.append((y, *torch.autograd.grad(y.square().sum(), wide)))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert len(seen) == 6
    assert all(given.data_ptr() == read.data_ptr() for given, read in seen)


@cpu_only
def test_operators_keep_torchs_rules():
    """Schema, fake shapes, autograd registration and tracing, as torch itself checks a custom operator."""
    v = {k: t.detach().float().requires_grad_() for k, t in inputs(20, b=1).items()}
    torch.library.opcheck(fused._forward, (*v.values(), False, 16, True))
    assert fused._forward(*v.values(), False, 16, False)[2].numel() == 0


@cpu_only
@pytest.mark.parametrize(("length", "h", "g"), [(20, 2, 1), (50, 2, 2), (33, 1, 1)])
def test_the_way_back_keeps_them_too(length, h, g, monkeypatch):
    """One run and several, heads that share B and C and heads that do not; x, B and C columns of wider rows."""
    monkeypatch.setattr(fused, "PROGRAMS", 4)
    x, dt, A, B, C, D, state = (t.detach().float() for t in inputs(length, h, g, b=1).values())
    x, B, C = (
        torch.cat([t, t], 2).flatten(2)[..., : t[0, 0].numel()].unflatten(2, t.shape[2:]) for t in (x, B, C)
    )
    y, last, states = fused._forward(x, dt, A, B, C, D, state, False, 16, True)
    torch.library.opcheck(fused._backward, (y, last, x, dt, A, B, C, D, states, False, 16))


@triton.jit
def _offsets(ptr, out_ptr, program_ptr, L, H, runs):
    """Bytes from `ptr` to the last element of one program's tile and of its state."""
    batch, head, run = kernel._place(tl.load(program_ptr), runs, H)
    tile, _ = kernel._tile(ptr, batch, head, run, L, H * 64, 64, 16, 16)
    state, _ = kernel._state(ptr, (batch * runs + run) * H + head, 64, 64, 16, 16)
    tl.store(out_ptr, tl.max(tl.max(tile.to(tl.int64) - ptr.to(tl.int64), 1), 0))
    tl.store(out_ptr + 1, tl.max(tl.max(state.to(tl.int64) - ptr.to(tl.int64), 1), 0))


@pytest.mark.parametrize(
    "device", [pytest.param("cuda", marks=pytest.mark.gpu), pytest.param("cpu", marks=cpu_only)]
)
def test_offsets_are_64_bit(device):
    """The last of two 4K pairs in eight heads lies beyond 2^31 elements; only addresses are made, nothing is read."""
    length, heads, runs = 2**24 + 3, 8, 2**20 + 1
    program = torch.tensor([2 * heads * runs - 1], dtype=torch.int32, device=device)
    x, out = torch.zeros(1, device=device), torch.zeros(2, dtype=torch.int64, device=device)
    _offsets[(1,)](x, out, program, length, heads, runs)
    tile = ((length + (runs - 1) * 16 + 15) * heads + heads - 1) * 64 + 15
    state = (2 * runs * heads - 1) * 64 * 64 + 15 * 64 + 15
    assert min(tile, state) > 2**31
    assert out.tolist() == [4 * tile, 4 * state]


@pytest.mark.gpu
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "h", "g"), [(1, 2, 1), (67, 4, 2), (512, 1, 1), (7200, 2, 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 3e-2)])
def test_on_a_gpu_is_the_recurrence(length, h, g, reverse, dtype, tolerance):
    values = inputs(length, h, g, p=64, n=64)
    wide = {"dt", "A", "D", "state"}
    values = {k: v.detach().cuda().to(torch.float32 if k in wide else dtype) for k, v in values.items()}
    truth = {k: v.double().requires_grad_() for k, v in values.items()}
    want = value_state_gradients(ssd, truth, reverse=reverse, return_state=True, impl="torch")
    values = {k: v.requires_grad_() for k, v in values.items()}
    got = value_state_gradients(ssd, values, reverse=reverse, return_state=True)
    close(got, want, tolerance)


@pytest.mark.gpu
def test_on_a_gpu_compiles_whole():
    values = {k: v.detach().float().cuda().requires_grad_() for k, v in inputs(200, p=64, n=64).items()}
    compiled = torch.compile(ssd, fullgraph=True)
    got = value_state_gradients(compiled, values, return_state=True)
    close(got, value_state_gradients(ssd, values, return_state=True), 1e-4)


@pytest.mark.gpu
def test_on_a_gpu_beyond_2_31_elements():
    """The far end of one long sequence equals its last tokens scanned alone: the state has forgotten the rest."""
    length, tail = 2**25 + 70, 4096
    make = torch.Generator("cuda").manual_seed(0)
    x, B, C = (
        torch.randn(1, length, *s, generator=make, device="cuda", dtype=torch.bfloat16)
        for s in ((1, 64),) * 3
    )
    dt = torch.rand(1, length, 1, generator=make, device="cuda")
    A = torch.full((1,), -1.0, device="cuda")
    assert x.numel() > 2**31
    y = ssd(x, dt, A, B, C)[:, -100:]
    alone = ssd(x[:, -tail:], dt[:, -tail:], A, B[:, -tail:], C[:, -tail:])[:, -100:]
    torch.testing.assert_close(y, alone, rtol=2e-2, atol=2e-1)
