"""The parts of a world, from a checkpoint of their training or from the file of a world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tween.core import TweenError
from tween.engine import checkpoint
from tween.models.stream.config import StreamConfig
from tween.models.stream.net.net import StreamNet
from tween.zoo.codecs import of_file as codec
from tween.zoo.load import place
from tween.zoo.worlds import MODES, load_world, revived

__all__ = ["codec", "frozen", "network"]


def network(path: Path, device: str = "auto") -> StreamNet:
    """The network, in full precision.

    Raises:
        TweenError: if `path` holds none.
    """
    if not _is_checkpoint(path):
        return load_world(path, device).filler.net.float()
    about = _config(path, "net")
    mode = next(mode for mode in MODES.values() if list(mode.keys) == about["mode"]["keys"])
    return (
        _filled(StreamNet(revived(StreamConfig, about | {"mode": mode})), path, "net.")
        .to(place(device))
        .eval()
    )


def frozen(net: nn.Module) -> Any:
    """`net` as it runs in a session: in half precision on a GPU, and nothing learns any more."""
    where = next(net.parameters()).device
    return net.to(torch.float16 if where.type == "cuda" else torch.float32).eval().requires_grad_(False)


def _is_checkpoint(path: Path) -> bool:
    try:
        return bool(checkpoint.header(path))
    except TweenError:
        return False


def _config(path: Path, part: str) -> dict[str, Any]:
    configs = checkpoint.header(path)["config"]["configs"]
    if part not in configs:
        raise TweenError(f"{path} should be a checkpoint of {part!r}, but is one of {', '.join(configs)}")
    return configs[part]


def _filled(net: Any, path: Path, prefix: str) -> Any:
    net.load_state_dict(checkpoint.part(checkpoint.weights(path), prefix))
    return net
