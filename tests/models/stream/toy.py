"""Networks small enough for a test, all of whose weights count."""

import torch

from tween.models.stream.actions import GTA_DRIVE, TEMPLERUN, UNIVERSAL, Actions
from tween.models.stream.config import ActionConfig, Rule, StreamConfig
from tween.models.stream.net.net import StreamNet
from tween.models.stream.timeline import frames_of

MODES = {"universal": UNIVERSAL, "gta_drive": GTA_DRIVE, "templerun": TEMPLERUN}
ACTION = ActionConfig(layers=2, width=16, heads=2, embed=4)


def config(**changes) -> StreamConfig:
    fields = {"channels": 2, "patch": 2, "width": 24, "layers": 3, "heads": 2, "ffn": 32, "action": ACTION}
    return StreamConfig(**(fields | changes))


def net(seed: int = 0, **changes) -> StreamNet:
    """As built many layers are zero, and much would go unnoticed: here none is."""
    torch.manual_seed(seed)
    network = StreamNet(config(**changes)).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.15 * torch.randn_like(p))
    return network


def latents(n: int, b: int = 2, seed: int = 1, h: int = 4, w: int = 6) -> torch.Tensor:
    return torch.randn(b, n, 2, h, w, generator=torch.Generator().manual_seed(seed))


def actions(n: int, b: int = 2, seed: int = 2, mode=UNIVERSAL) -> Actions:
    """Of the frames of n latents."""
    g, f = torch.Generator().manual_seed(seed), frames_of(n)
    keys = torch.rand(b, f, len(mode.keys), generator=g) < 0.4
    return Actions(keys.float(), 0.1 * torch.randn(b, f, 2, generator=g))


RULES = [Rule(window=w, sink=s) for w in (3, 4, 6, 12, 15) for s in (0, 1, 3) if w >= 3 + s]
