"""Refiners and encoders small enough for a test, and a batch of them."""

import torch

from tween.models.impute.config import EncoderConfig, PatchConfig, Trunk, VideoConfig
from tween.models.impute.encoder import Encoder
from tween.models.impute.net import PatchRefiner, VideoRefiner
from tween.models.impute.task import Classes

TRUNK = {"width": 32, "layers": 2, "heads": 2, "ffn": 48, "classes": 3}


def alive(net, seed=1, scale=0.3):
    """`net` with nothing left at zero."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(
                scale * torch.randn(p.shape, generator=g) / max(p[0].numel() if p.ndim > 1 else 1, 1) ** 0.5
            )
    return net


def patch_net(live=True, grid=(4, 4), values=12, **trunk):
    torch.manual_seed(0)
    net = PatchRefiner(PatchConfig(grid=grid, values=values, trunk=Trunk(**TRUNK | trunk)))
    return alive(net) if live else net


def video_net(live=True, channels=3, patch=2, **trunk):
    torch.manual_seed(0)
    net = VideoRefiner(VideoConfig(channels=channels, patch=patch, trunk=Trunk(**TRUNK | trunk)))
    return alive(net) if live else net


def encoder(channels=3, **config):
    torch.manual_seed(0)
    return Encoder(
        EncoderConfig(
            **{"channels": channels, "width": 8, "blocks": (1, 2), "groups": 4, "classes": 3} | config
        )
    )


def asked(b, n, trunk_classes=3, seed=0):
    """Known, label, level, alpha of `b` samples of `n` tokens."""
    g = torch.Generator().manual_seed(seed)
    known = torch.rand(b, n, generator=g) < 0.4
    known[:, 0] = True
    label = torch.randint(trunk_classes, (b,), generator=g)
    return known, label, 1 - known.float().mean(1), 1 + 3 * torch.rand(b, generator=g)


def classes(c=2, g=3, p=4, u=2, n=16, d=12, seed=0):
    """A batch of patches of 8x8 pictures."""
    rng = torch.Generator().manual_seed(seed)
    known, *_ = asked(c * g, n, seed=seed)
    return Classes(
        labels=torch.arange(c),
        alpha=torch.linspace(1, 2, c),
        truth=torch.rand(c * g, n, d, generator=rng),
        coarse=torch.rand(c * g, n, d, generator=rng),
        known=known,
        positives=torch.rand(c, p, 3, 8, 8, generator=rng),
        anything=torch.rand(u, 3, 8, 8, generator=rng),
        weights=torch.ones(c, g),
        positive_weights=torch.ones(c, p),
    )
