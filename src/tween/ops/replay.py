"""A function of tensors as CUDA graphs: small networks wait for the host's launches, not for the GPU."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

KEPT = 4  # graphs of as many shapes: a video needs one, its tiles and its last odd tile a few


class Captured(NamedTuple):
    """A graph with the tensors that it reads and those that it writes."""

    graph: Any
    inputs: list[Any]
    outputs: Any


def replayed(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, captured when the same shapes come a second time, replayed from then on; on a CPU `function` itself.

    `function` takes and returns tensors in nested tuples, has no gradient, never reads a tensor's values on the host
    and makes none there. Its arguments are copied in and its results copied out, so that none is overwritten by the
    next call.
    """
    kept: OrderedDict[Any, Captured | None] = OrderedDict()  # None: seen once

    def call(*arguments: Any) -> Any:
        leaves, _ = tree_flatten(arguments)
        if not leaves[0].is_cuda:
            return function(*arguments)
        key = tuple((tuple(x.shape), x.dtype) if isinstance(x, Tensor) else x for x in leaves)
        if key not in kept:
            while len(kept) >= KEPT:
                kept.popitem(last=False)
            kept[key] = None  # what is compiled or chosen at the first call must not be captured
            return function(*arguments)
        kept.move_to_end(key)
        captured = kept[key] = kept[key] or capture(function, arguments)
        return replay(captured, leaves)

    return call


def capture(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Captured:
    """`function` at `arguments` as a graph. Other threads may go on using the device meanwhile."""
    static = tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, arguments)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function(*static)  # workspaces of this stream
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with uncollected(), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        outputs = function(*static)
    return Captured(graph, tree_flatten(static)[0], outputs)


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected inside: an old graph that dies while another is captured spoils that one."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def replay(captured: Captured, leaves: list[Any]) -> Any:
    """The results for `leaves`, in tensors of their own."""
    for held, new in zip(captured.inputs, leaves, strict=True):
        if isinstance(held, Tensor):
            held.copy_(new)
    captured.graph.replay()
    return tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, captured.outputs)
