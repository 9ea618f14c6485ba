"""tween: given frames at some times, frames at other times.

Names are loaded on first use (PEP 562), so that `tween --help` imports no torch.
"""

from importlib import import_module

_HOME = {
    "frames": "tween.api",
    "between": "tween.api",
    "fill": "tween.api",
    "world": "tween.api",
    "TweenError": "tween.core",
}
__all__ = ["TweenError", "between", "fill", "frames", "world"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'tween' has no attribute {name!r}")
