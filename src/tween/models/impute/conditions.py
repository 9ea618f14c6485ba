"""What a sample is told beside its keyframes: a class made of them and of text, and the strength of guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.impute.codebook import unit
from tween.models.impute.encoder import Encoder


@torch.no_grad()
def embedding(
    encoder: Encoder,
    frames: Tensor,
    known: Tensor,
    text: Tensor | None = None,
    *,
    share: float = 0.5,
    view: Callable[[Tensor], Tensor] = lambda frames: frames,
) -> Tensor:
    """Joint embedding `b d` of keyframes and, where there is one, of text: h = g(text, keyframes), a unit vector.

    Keyframes speak by the mean of their features and by how these change from the first to the last: what is to be
    seen, and what happens. Both parts and the text are unit vectors, so that none outweighs the others by its scale.

    Args:
        frames: `b t c h w`, pictures or latents.
        known: `b t` bool, at least one a sample.
        text: `b e`, of whatever model made it.
        share: of the text in squared distances, from 0 to 1.
        view: frames `m c h w` -> what the encoder takes.
    """
    if text is not None and len(text) != len(frames):
        raise TweenError(
            f"text should be one embedding a clip, {len(frames)}, but got {len(text)}; check the shard's files"
        )
    seen = frames.new_zeros(*known.shape, encoder.head.in_features)
    seen[known] = encoder.vector(view(frames[known])).to(seen.dtype)
    mean = seen.sum(1) / known.sum(1)[:, None]
    row = torch.arange(len(known), device=known.device)
    first, last = known.long().argmax(1), known.shape[1] - 1 - known.long().flip(1).argmax(1)
    look = unit(torch.cat([unit(mean), unit(seen[row, last] - seen[row, first])], 1))
    if text is None:
        return look
    return torch.cat([(1 - share) ** 0.5 * look, share**0.5 * unit(text.to(look))], 1)


def alphas(
    count: int,
    *,
    power: float = 3.0,
    most: float = 4.0,
    plain: float = 0.0,
    values: Sequence[float] = (),
    shares: Sequence[float] = (),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Strengths of guidance, `count`: density proportional to alpha^-power on [1, most], and exactly 1 with
    probability `plain` (drifting, arXiv 2602.04770, appendix A.7: power 3, or 5 with large models); or of `values`,
    in proportion to `shares` (alike, where there are none).

    Raises:
        TweenError: if the range is empty, or shares do not go with the values.
    """
    if values:
        if len(shares) not in (0, len(values)) or min(values) < 1:
            raise TweenError(
                f"alphas are 1 or more, with a probability for each or for none, but got {list(values)} and "
                f"{list(shares)}"
            )
        chances = torch.tensor(list(shares) or [1.0] * len(values))
        return torch.tensor(values)[torch.multinomial(chances, count, replacement=True, generator=generator)]
    if most < 1 or not 0 <= plain <= 1:
        raise TweenError(
            f"alpha is drawn from [1, most] and is 1 with a probability, but got most {most}, probability {plain}"
        )
    device = generator.device if generator else None
    u, v = torch.rand(2, count, generator=generator, device=device)
    drawn = most**u if power == 1 else (1 + u * (most ** (1 - power) - 1)) ** (1 / (1 - power))
    return torch.where(v < plain, 1.0, drawn)
