"""What a network costs before it is run: parameters, floating-point operations and peak memory.

The network runs once on the meta device, where every operation has a shape and no data, and each one is counted by
its formula. A multiply-add is two operations. Third-party counters miss the state-space scan, attention kernels and
warps; here nothing that runs is missed, and the tests check the sums by hand.
"""

from __future__ import annotations

import copy
import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tween.ops.ssd
import tween.ops.ssd.reference

aten = torch.ops.aten
MATMUL = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm}
PER_ELEMENT = {aten.native_layer_norm: 5, aten._softmax: 4, aten._safe_softmax: 4, aten.cumsum: 1}
PER_ELEMENT |= {aten.upsample_bilinear2d: 7, aten.upsample_bicubic2d: 35, aten.scatter_add: 1}
"""Operations an output element, of what is neither pointwise nor a reduction nor below."""
BILINEAR = 7
"""Four products and three sums for each sampled value."""
STEPS = ("encode", "pair", "at")
"""Methods that do what is needed once a frame, once a pair and once a time."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One forward pass.

    Attributes:
        parameters: by part (the network's own children), those shared by parts counted once.
        flops: by kind: convolution, matmul, attention, ssd, warp, elementwise.
        flops_by_part: by the network's own children; `-` is work outside of them.
        flops_by_step: of one call of each method in STEPS that the network has: what a further frame, a further
            pair and a further time of the same pair cost.
        peak_bytes: weights, inputs and the most that was alive at once beside them, without gradients. An
            allocator's rounding and the scratch space of convolutions come on top.
    """

    parameters: dict[str, int]
    flops: dict[str, int]
    flops_by_part: dict[str, int]
    flops_by_step: dict[str, int]
    peak_bytes: int


def parameters(net: nn.Module) -> dict[str, int]:
    """Learnable numbers by the network's own children; bare parameters of `net` under `-`. Empty parts are left out."""
    parts = {name: sum(p.numel() for p in child.parameters()) for name, child in net.named_children()}
    parts["-"] = sum(p.numel() for p in net.parameters(recurse=False))
    return {name: count for name, count in parts.items() if count}


def cost(net: nn.Module, *inputs: Tensor) -> Cost:
    """Count `net(*inputs)`; only shapes and types of the inputs matter, and `net` itself is not touched."""
    net = copy.deepcopy(net).to("meta").eval()
    inputs = tuple(x.to("meta") for x in inputs)
    counter = _Counter()
    for x in (*net.parameters(), *net.buffers(), *inputs):
        counter.alive(x)
    by_step = _time_steps(net, counter)
    with torch.no_grad(), _parts(net, counter), _shapes_only(counter), _Attention(counter), counter:
        net(*inputs)
    return Cost(
        parameters=parameters(net),
        flops=dict(counter.kinds),
        flops_by_part=dict(counter.parts),
        flops_by_step=by_step,
        peak_bytes=counter.peak,
    )


class _Counter(TorchDispatchMode):
    """Sums operations by kind and part, and follows which storages are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()
        self.part, self.matmul = "-", "matmul"
        self.bytes = self.peak = 0
        self.known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def add(self, kind: str, flops: int) -> None:
        self.kinds[kind] += flops
        self.parts[self.part] += flops

    def alive(self, x: Tensor) -> None:
        storage = x.untyped_storage()
        if storage in self.known:
            return
        self.known.add(storage)
        self.bytes += storage.nbytes()
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._freed, storage.nbytes())

    def _freed(self, size: int) -> None:
        self.bytes -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        results = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        for x in results:
            self.alive(x)
        if results:
            self._count(func, args, results[0])
        return out

    def _count(self, func: Any, args: tuple, out: Tensor) -> None:
        op = func.overloadpacket
        if op is aten.convolution:
            self.add("convolution", convolution_flops(args[0], args[1], out, transposed=args[6]))
        elif op in MATMUL:
            left = args[-2] if op in (aten.mm, aten.bmm) else args[1]
            self.add(self.matmul, 2 * out.numel() * left.shape[-1])
        elif op is aten.grid_sampler_2d:
            self.add("warp", BILINEAR * out.numel())
        elif torch.Tag.reduction in func.tags:
            self.add("elementwise", args[0].numel())
        elif torch.Tag.pointwise in func.tags:
            self.add("elementwise", out.numel())
        elif op in PER_ELEMENT:
            self.add("elementwise", PER_ELEMENT[op] * out.numel())


def convolution_flops(x: Tensor, weight: Tensor, out: Tensor, *, transposed: bool) -> int:
    """Two operations for each tap of each output, or of each input where it is transposed (groups are in `weight`)."""
    places = x if transposed else out
    return 2 * places.shape[0] * math.prod(places.shape[2:]) * weight.numel()


class _Attention(TorchFunctionMode):
    """Scaled dot products as fused kernels run them: two matrix products, no matrix of scores kept."""

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self.counter = counter

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        q, k, v = args[:3]
        rows = math.prod(q.shape[:-1])
        self.counter.add("attention", 2 * rows * k.shape[-2] * (q.shape[-1] + v.shape[-1]))
        return q.new_empty(*q.shape[:-1], v.shape[-1])


def _time_steps(net: nn.Module, counter: _Counter) -> dict[str, int]:
    """Wrap the methods of STEPS on `net` (a copy, ours); what the last call of each cost is written into the result."""
    found: dict[str, int] = {}

    def counted(step: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            before = counter.kinds.total()
            out = method(*args, **kwargs)
            found[step] = counter.kinds.total() - before
            return out

        return call

    for step in STEPS:
        if hasattr(net, step):
            setattr(net, step, counted(step, getattr(net, step)))
    return found


@contextmanager
def _parts(net: nn.Module, counter: _Counter) -> Iterator[None]:
    """Attribute what runs inside each child of `net` to the child's name."""
    with ExitStack() as stack:
        for name, child in net.named_children():
            for module in child.modules():  # all of them: a child's methods may call its own children
                _watch(module, name, counter, stack)
        yield


def _watch(module: nn.Module, name: str, counter: _Counter, stack: ExitStack) -> None:
    before: list[str] = []

    def enter(*_: Any) -> None:
        before.append(counter.part)
        counter.part = name

    def leave(*_: Any) -> None:
        counter.part = before.pop()

    stack.callback(module.register_forward_pre_hook(enter).remove)
    stack.callback(module.register_forward_hook(leave).remove)


@contextmanager
def _shapes_only(counter: _Counter) -> Iterator[None]:
    """Name the scan's products `ssd`, and pass states between chunks side by side: shapes need no loop."""
    chunked: Callable[..., Any] = tween.ops.ssd.ssd_chunked

    def named(*args: Any, **kwargs: Any) -> Any:
        counter.matmul = "ssd"
        try:
            return chunked(*args, **kwargs)
        finally:
            counter.matmul = "matmul"

    def side_by_side(log_decay: Tensor, own: Tensor, state: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
        return torch.exp(log_decay) * own + own, state

    with (
        patch.object(
            torch, "autocast", lambda *_, **__: nullcontext()
        ),  # the meta device has none to turn off
        patch.object(tween.ops.ssd, "ssd_chunked", named),
        patch.object(tween.ops.ssd.reference, "pass_states", side_by_side),
    ):
        yield
