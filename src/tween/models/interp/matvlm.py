"""Starting Mamba2 from attention (MaTVLM; Li et al., arXiv:2503.13440).

Softmax aside, attention is Mamba2 with V, K, Q as x, B, C and no decay, so the projections of a trained attention
branch are a start for the Mamba2 beside it. Plan A copies what fits the standard layout; plan B
(`mamba_layout="matched"`) makes every width fit; plan C (`mamba_layout="d_xb"`) keeps the wider inner state and
repeats keys and values over it, as MaTVLM does. Biases of Q, K and V have no counterpart and are dropped.

It helps only when the attention was trained: on a fresh network it copies noise onto noise.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.nn.lgs import GatedWindowAttention, LGSBlock
from tween.nn.mamba2 import Mamba2Branch


@torch.no_grad()
def init_from_attention(mamba: Mamba2Branch, attention: GatedWindowAttention) -> int:
    """Copy V, K, Q into the rows of x, B, C and the output projection; z, dt, A and the convolution stay.

    Returns:
        How many weights were copied: `4 d d` when everything fits, less in plan A, more in plan C.
    """
    d = attention.proj.in_features
    q, k, v = attention.qkv.weight.split(d)
    x, b, c = mamba.in_proj.weight[mamba.d_inner : -mamba.heads].split(mamba.widths)
    out, proj = mamba.out_proj.weight, attention.proj.weight
    if mamba.widths[2] == mamba.d_inner == 2 * x.shape[0]:  # plan C: each key and value head serves two of Q
        q, proj = repeat_heads(q, attention.heads), repeat_heads(proj.T, attention.heads).T / 2
    return sum(copy_rows(to, source) for to, source in ((x, v), (b, k), (c, q), (out.T, proj.T)))


def repeat_heads(weight: Tensor, heads: int) -> Tensor:
    """Rows `(heads p) d` -> `(heads 2 p) d`, every head twice in a row."""
    return weight.unflatten(0, (heads, -1)).repeat_interleave(2, 0).flatten(0, 1)


def copy_rows(to: Tensor, source: Tensor) -> int:
    """Copy as many rows as both have, in place; the number of weights copied."""
    rows = min(len(to), len(source))
    to[:rows] = source[:rows]
    return rows * to.shape[1]


def warm_start(net: nn.Module, attention_weights: Mapping[str, Tensor]) -> int:
    """Load a trained `gated_attn_only` network into a hybrid one and start each Mamba2 from its attention.

    Args:
        net: a network of hybrid LGS blocks, of the same widths.
        attention_weights: state_dict of the `gated_attn_only` network.
    Returns:
        How many weights of Mamba2 were set.
    Raises:
        TweenError: if the weights do not belong to such a network.
    """
    blocks = {
        name: m
        for name, m in net.named_modules()
        if isinstance(m, LGSBlock) and len(m.branches) == 2 and isinstance(m.branches[0], Mamba2Branch)
    }
    weights = dict(attention_weights)
    for name in blocks:
        mine = f"{name}.branches."
        for key in [k for k in weights if k.startswith(f"{mine}0.")]:
            weights[f"{mine}1.{key.removeprefix(f'{mine}0.')}"] = weights.pop(key)
    try:
        unknown = net.load_state_dict(weights, strict=False).unexpected_keys
    except RuntimeError as error:
        raise TweenError(
            f"the weights do not fit this network: {str(error).splitlines()[-1].strip()}"
        ) from None
    wanted = [f"{name}.branches.1.qkv.weight" for name in blocks]
    if unknown or not blocks or any(key not in weights for key in wanted):
        raise TweenError(
            "a warm start needs a hybrid network and weights of a gated_attn_only one of its widths"
        )
    return sum(init_from_attention(*block.branches) for block in blocks.values())
