"""Pseudo-classes: which of K codes an embedding is nearest to. Embeddings are unit vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tween.core import TweenError

CHUNK = 1 << 14


def assigned(h: Tensor, codes: Tensor) -> Tensor:
    """`n`: the nearest of the codes `k d` for each of `n d`."""
    return torch.cat([torch.cdist(part, codes).argmin(1) for part in h.split(CHUNK)])


def kmeans(h: Tensor, k: int, *, steps: int = 50, generator: torch.Generator | None = None) -> Tensor:
    """Codes `k d` of `n d`: k-means++ (Arthur and Vassilvitskii, SODA 2007), then Lloyd's iteration until nothing
    changes. A code that loses its last sample moves to the one that is farthest from its own.

    Raises:
        TweenError: if there are fewer samples than codes.
    """
    if len(h) < k:
        raise TweenError(f"{k} codes need as many samples or more, but got {len(h)}; take fewer codes")
    codes = _spread(h, k, generator)
    label = None
    for _ in range(steps):
        before, label = label, assigned(h, codes)
        if before is not None and torch.equal(before, label):
            break
        total, count = _sums(h, label, k)
        codes = torch.where(count[:, None] > 0, total / count.clamp(min=1)[:, None], codes)
        codes = _revived(codes, count < 1, h, label)
    return codes


def _spread(h: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
    """k samples, each drawn in proportion to its squared distance to those before."""
    first = torch.randint(len(h), (1,), generator=generator, device=h.device)
    codes, far = [h[first]], torch.cdist(h, h[first]).square()[:, 0]
    for _ in range(k - 1):
        weights = far if bool(far.sum() > 0) else torch.ones_like(far)
        code = h[torch.multinomial(weights, 1, generator=generator)]
        codes.append(code)
        far = torch.minimum(far, torch.cdist(h, code).square()[:, 0])
    return torch.cat(codes)


@dataclass(frozen=True, kw_only=True)
class Vq:
    """A codebook that follows its samples (van den Oord et al., NeurIPS 2017, appendix A.1).

    Attributes:
        codes: `k d`.
        total: `k d`, moving sum of the samples of each code.
        count: `k`, moving number of them.
    """

    codes: Tensor
    total: Tensor
    count: Tensor


def vq(codes: Tensor) -> Vq:
    """A codebook that begins with `codes`, each with one sample."""
    return Vq(codes=codes, total=codes.clone(), count=torch.ones(len(codes), device=codes.device))


def followed(book: Vq, h: Tensor, *, decay: float = 0.99, least: float = 0.01) -> Vq:
    """The codebook after a batch `n d`. A code whose moving count fell below `least` of an even share begins again at
    a sample that is far from its own code."""
    label = assigned(h, book.codes)
    total, count = _sums(h, label, len(book.codes))
    total, count = book.total.lerp(total, 1 - decay), book.count.lerp(count, 1 - decay)
    dead = count < least * count.mean()
    codes = _revived(total / count.clamp(min=1e-12)[:, None], dead, h, label)
    total = torch.where(dead[:, None], codes * count.mean(), total)
    return Vq(codes=codes, total=total, count=torch.where(dead, count.mean(), count))


def moving(
    h: Tensor, k: int, *, steps: int = 300, batch: int = 2048, generator: torch.Generator | None = None
) -> Tensor:
    """Codes `k d` of `n d` that followed random batches of them: what k-means finds, without a look at all at once.

    Raises:
        TweenError: as `kmeans`.
    """
    book = vq(kmeans(h, k, steps=0, generator=generator))
    for _ in range(steps):
        drawn = torch.randint(len(h), (min(batch, len(h)),), generator=generator, device=h.device)
        book = followed(book, h[drawn], decay=0.95)
    return book.codes


def _sums(h: Tensor, label: Tensor, k: int) -> tuple[Tensor, Tensor]:
    total = h.new_zeros(k, h.shape[1]).index_add_(0, label, h)
    return total, torch.bincount(label, minlength=k).to(h.dtype)


def _revived(codes: Tensor, dead: Tensor, h: Tensor, label: Tensor) -> Tensor:
    """`codes`, those that are `dead` moved to the samples farthest from their own code."""
    count = min(int(dead.sum()), len(h))
    if not count:
        return codes
    far = (h - codes[label]).square().sum(1).topk(count).indices
    codes = codes.clone()
    codes[dead.nonzero()[:count, 0]] = h[far]
    return codes


QUANTISERS = {"k-means": kmeans, "vq": moving}


def fitted(
    h: Tensor,
    *,
    sizes: tuple[int, ...] = (1024, 512),
    least: float = 8.0,
    seed: int = 0,
    quantiser: str = "k-means",
) -> Tensor:
    """Codes of the first of `sizes` that leaves `least` samples a code, on average and for the median one; of the last
    if none does. The seed's rule: 1024, and 512 where classes would be too thin to drift in.

    Args:
        h: `n d`, unit vectors.
        quantiser: of `QUANTISERS`.
    """
    make = QUANTISERS[quantiser]
    generator = torch.Generator(h.device).manual_seed(seed)
    for k in sizes:
        if len(h) < k:
            continue
        codes = make(h, k, generator=generator)
        count = torch.bincount(assigned(h, codes), minlength=k)
        if min(len(h) / k, float(count.float().median())) >= least:
            return codes
    return make(h, min(sizes[-1], len(h)), generator=generator)


def unit(h: Tensor) -> Tensor:
    """To length 1 over the last axis."""
    return F.normalize(h, dim=-1)
