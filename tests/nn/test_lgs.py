"""The LGS block's parts against the plain way to compute them."""

import pytest
import torch
import torch.nn.functional as F

from tween.core import TweenError
from tween.nn.lgs import (
    CHANNEL_ATTENTION,
    BlockConfig,
    GatedWindowAttention,
    LGSBlock,
    Mamba1Branch,
    mamba_branch,
)
from tween.nn.mamba2 import Mamba2Branch
from tween.ops.ssd import ssd_recurrent

SMALL = {"headdim": 16, "d_state": 8, "chunk": 16}


def plain_mamba2(m: Mamba2Branch, x: torch.Tensor) -> torch.Tensor:
    """Mamba2 over `b l d` as its authors write it: causal convolution, recurrence token by token, gated norm."""
    z, xbc, dt = m.in_proj(x).split([m.d_inner, sum(m.widths), m.heads], dim=-1)
    xbc = F.silu(m.conv(F.pad(xbc.transpose(1, 2), (3, 0))).transpose(1, 2))
    value, B, C = xbc.split(m.widths, dim=-1)
    y, _ = ssd_recurrent(
        value.unflatten(-1, (m.heads, m.headdim)),
        F.softplus(dt + m.dt_bias),
        -m.A_log.exp(),
        B.unsqueeze(2),
        C.unsqueeze(2),
        m.D,
    )
    y = y.flatten(2) * F.silu(z)
    return m.out_proj(y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-5) * m.norm)


def test_mamba2_branch_is_the_sum_of_four_mamba2():
    """Projecting once and scanning backwards in place equals four whole Mamba2 over four copies, flips undone."""
    torch.manual_seed(0)
    m = Mamba2Branch(16, **SMALL).double()
    x = torch.randn(2, 5, 7, 2, 16, dtype=torch.float64)
    want = torch.zeros_like(x)
    for plane, back in ((x, lambda y: y), (x.transpose(1, 2), lambda y: y.transpose(1, 2))):
        sequence, shape = plane.flatten(1, 3), plane.shape[1:4]
        want += back(plain_mamba2(m, sequence).unflatten(1, shape))
        want += back(plain_mamba2(m, sequence.flip(1)).flip(1).unflatten(1, shape))
    torch.testing.assert_close(m(x), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("branch", [Mamba2Branch(16, **SMALL), Mamba1Branch(16)])
def test_interleaved_frames_see_each_other_and_flipped_ones_do_not(branch):
    x = torch.randn(1, 4, 5, 2, 16)
    other = x.clone()
    other[:, :, :, 1] = 0

    def frame0(m, x):
        with torch.no_grad():
            return m(x)[:, :, :, 0]

    assert not torch.allclose(frame0(branch, x), frame0(branch, other))
    flipped = mamba_branch(16, BlockConfig(scan="flip", mamba=2 if hasattr(branch, "norm") else 1, **SMALL))
    torch.testing.assert_close(frame0(flipped, x), frame0(flipped, other))


def test_mamba2_starts_as_its_authors_have_it():
    torch.manual_seed(0)
    m = Mamba2Branch(512, headdim=4)
    dt = F.softplus(m.dt_bias).detach()
    assert m.heads == 256
    assert dt.min() >= 0.99e-3
    assert dt.max() <= 1.01e-1
    assert dt.median() < 0.02  # log-uniform: half lies below the geometric mean, 0.01
    A = m.A_log.exp().detach()
    assert A.min() >= 1
    assert A.max() <= 16
    assert A.mean() == pytest.approx(8.5, abs=1)
    assert torch.equal(m.D, torch.ones(256))
    exempt = {name for name, p in m.named_parameters() if getattr(p, "_no_weight_decay", False)}
    assert exempt == {"A_log", "D", "dt_bias"}


def test_every_gate_is_a_sigmoid_of_the_input_before_the_projection():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 8, 2, 32)
    free = GatedWindowAttention(32, 2, 4)
    for kind in ("head", "element"):
        gated = GatedWindowAttention(32, 2, 4, gate=kind)
        gated.load_state_dict(free.state_dict(), strict=False)
        torch.nn.init.zeros_(gated.gate.weight)
        torch.nn.init.constant_(gated.gate.bias, 40.0)
        torch.testing.assert_close(gated(x), free(x))
        gated.gate.bias.data[: gated.gate.out_features // 2] = -40.0  # the first of two heads
        silent = free.proj.weight.data.clone()
        silent[:, :16] = 0
        muted = GatedWindowAttention(32, 2, 4)
        muted.load_state_dict({**free.state_dict(), "proj.weight": silent})
        torch.testing.assert_close(gated(x), muted(x))


def test_attention_stays_inside_its_frame_and_window():
    m = GatedWindowAttention(16, 1, 4, shift=2)
    x = torch.randn(1, 8, 8, 2, 16, requires_grad=True)
    m(x)[0, 0, 0, 0].sum().backward()
    seen = x.grad.abs().sum(-1)[0] > 0
    assert not seen[:, :, 1].any()
    assert seen[:, :, 0].nonzero().max() < 2  # the corner window that the shift leaves is 2 x 2


@pytest.mark.parametrize("kind", CHANNEL_ATTENTION)
def test_channel_attention_keeps_frames_and_samples_apart(kind):
    torch.manual_seed(0)
    m = CHANNEL_ATTENTION[kind](32)
    x = torch.rand(2, 6, 6, 2, 32)
    alone = m(x[1:, :, :, :])
    torch.testing.assert_close(m(x)[1:], alone)
    other = x.clone()
    other[:, :, :, 1] = 5
    torch.testing.assert_close(m(other)[:, :, :, 0], m(x)[:, :, :, 0])


def test_eca_kernel_grows_with_the_width():
    assert [CHANNEL_ATTENTION["eca"](d).conv.kernel_size[0] for d in (32, 64, 128, 256)] == [3, 3, 5, 5]


@pytest.mark.parametrize("width", [40, 24])
def test_width_that_no_head_divides_is_refused(width):
    with pytest.raises(TweenError, match="width"):
        LGSBlock(width, BlockConfig(head_dim=8 if width == 40 else 16))


def test_precision_below_fp32_stays_near():
    torch.manual_seed(0)
    m = LGSBlock(32, BlockConfig(**SMALL)).eval()
    x = torch.randn(1, 9, 11, 2, 32)
    with torch.no_grad():
        want = m(x)
        for dtype, bound in ((torch.bfloat16, 0.1), (torch.float16, 0.01)):
            got = m.to(dtype)(x.to(dtype))
            assert got.dtype == dtype
            assert (got.float() - want).abs().max() < bound


def test_a_block_compiles_to_one_graph():
    torch.manual_seed(0)
    m = LGSBlock(32, BlockConfig(**SMALL), shifted=True).eval()
    x = torch.randn(1, 6, 10, 2, 32)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(m, backend="eager", fullgraph=True)(x), m(x))
