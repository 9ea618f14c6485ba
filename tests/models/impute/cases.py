"""Clips, pictures and masks to corrupt."""

import torch
import torch.nn.functional as F
from hypothesis import strategies as st

seeds = st.integers(0, 2**31)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clip_and_mask(seed, b=2, t=6, c=3, h=4, w=5):
    """Noise `b t c h w`, and a mask `b t` that gives one frame of each sample at least."""
    rng = generator(seed)
    known = torch.rand(b, t, generator=rng) < 0.4
    known[torch.arange(b), torch.randint(t, (b,), generator=rng)] = True
    return torch.rand(b, t, c, h, w, generator=rng), known


def patches_and_mask(seed, b=2, n=16, d=3, share=0.3):
    """Noise `b n d` and a mask `b n`."""
    frames, known = clip_and_mask(seed, b, n, d, 1, 1)
    return frames.flatten(2), known & (torch.rand(b, n, generator=generator(seed + 1)) < 2 * share) | (
        torch.arange(n) == seed % n
    )


def moving(n=5, by=(2, 1), h=48, w=64):
    """`1 n 3 h w`: a soft texture that moves by (dx, dy) pixels a frame."""
    noise = torch.rand(1, 3, h // 8 + 6, w // 8 + 8, generator=generator(1))
    wide = F.interpolate(noise, scale_factor=8, mode="bicubic").clamp(0, 1)
    dx, dy = by
    return torch.stack(
        [wide[..., 8 + i * dy : 8 + i * dy + h, 8 + i * dx : 8 + i * dx + w] for i in range(n)], 1
    )
