"""Manifold-constrained hyper-connections: residual streams mixed by a doubly stochastic matrix.

Source: mHC (Xie et al., 2025), static logits as in the thesis plan; mHC-lite (Yang & Gao, arXiv:2601.05732).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn


def sinkhorn_log(logits: Tensor, *, iterations: int = 10, tau: float = 0.05) -> Tensor:
    """The doubly stochastic matrix nearest to exp(logits / tau), by Sinkhorn-Knopp in log space.

    Args:
        logits: `n n`.
    Returns:
        `n n`, positive; columns sum to 1 exactly, rows up to what `iterations` left over.
    """
    z = logits / tau
    v = torch.zeros_like(z[0])
    for _ in range(iterations):
        u = -torch.logsumexp(z + v[None, :], dim=1)
        v = -torch.logsumexp(z + u[:, None], dim=0)
    return torch.exp(z + u[:, None] + v[None, :])


class HyperConnection(nn.Module):
    """out = read . (H_res^T x + H_post branch(H_pre x)) over n streams x.

    `kind` is how H_res is kept doubly stochastic: `mhc` by Sinkhorn on n x n logits; `mhc_lite` as a convex
    combination of the n! permutation matrices, exactly and without iterations.

    `init="seed"` is the thesis plan to the letter, and two things in it never act. Off-diagonal logits of -8 at
    tau 0.05 are exp(-160) = 0 in fp32, so H_res is the identity with exactly zero gradient. And the streams are
    collapsed by a plain sum: the rows of H_res and the entries of H_post sum to 1, so both drop out of it.
    `init="live"` starts the off-diagonal at exp(-6) and learns the weights `read` of the collapse, unequal from
    the start (shortcut 1, branches 1/2), so that everything has a gradient; it costs n parameters more.
    """

    def __init__(self, streams: int, *, kind: str = "mhc", init: str = "live", tau: float = 0.05) -> None:
        super().__init__()
        self.kind, self.tau = kind, tau
        near = {"live": -6.0 * tau, "seed": -8.0}[init]
        if kind == "mhc":
            self.res_logits = nn.Parameter(torch.full((streams, streams), near).fill_diagonal_(0.0))
        else:
            orders = list(itertools.permutations(range(streams)))  # the identity comes first
            self.register_buffer("permutations", torch.eye(streams)[torch.tensor(orders)], persistent=False)
            self.res_logits = nn.Parameter(torch.tensor([0.0] + [near / tau] * (len(orders) - 1)))
        self.pre_logits = nn.Parameter(torch.tensor([0.0] + [-8.0] * (streams - 1)))
        self.post_logits = nn.Parameter(torch.zeros(streams))
        read = torch.tensor([1.0] + [0.5] * (streams - 1))
        self.read = nn.Parameter(read) if init == "live" else None
        for logits in self.parameters():
            logits._no_weight_decay = True  # decay would pull the mixing towards the uniform one

    def h_res(self) -> Tensor:
        """The mixing matrix, `n n`, doubly stochastic, fp32."""
        if self.kind == "mhc":
            return sinkhorn_log(self.res_logits.float(), tau=self.tau)
        return torch.einsum("k,kij->ij", self.res_logits.float().softmax(0), self.permutations.float())

    def forward(self, streams: list[Tensor], branch: Callable[[Tensor], Tensor]) -> Tensor:
        """n streams of one shape -> one tensor of that shape."""
        x = torch.stack(streams)
        pre, post = self.pre_logits.float().softmax(0), self.post_logits.float().softmax(0)
        read = torch.ones_like(post) if self.read is None else self.read.float()
        made = branch(torch.einsum("s,s...->...", pre.to(x.dtype), x))
        kept = self.h_res() @ read  # the collapse of H_res^T x, without materialising the mixed streams
        return torch.einsum("s,s...->...", kept.to(x.dtype), x) + (post @ read).to(x.dtype) * made
