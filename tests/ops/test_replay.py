"""CUDA graphs of a function: what holds without a GPU."""

import gc
import weakref

import pytest
import torch

from tween.ops.replay import replayed, uncollected


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def test_on_a_cpu_it_is_the_function():
    seen = []

    def double(x):
        seen.append(x)
        return 2 * x, (x + 1,)

    x = torch.arange(3.0)
    call = replayed(double)
    for _ in range(3):
        twice, (more,) = call(x)
        assert torch.equal(twice, 2 * x)
        assert torch.equal(more, x + 1)
    assert all(y is x for y in seen)


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_collected_while_a_graph_is_captured(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        old = Ring()
        dead = weakref.ref(old)
        del old
        with uncollected():
            assert dead() is None  # what was garbage before is gone
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.gpu
def test_on_a_gpu_an_old_graph_may_die_while_another_is_captured():
    """Graphs in rings, thrown away at once: the collector finds them at any time."""
    x, weight = torch.rand(8, 16, 32, 32, device="cuda"), torch.rand(16, 16, 3, 3, device="cuda")
    threshold = gc.get_threshold()
    try:
        gc.set_threshold(1)
        for _ in range(20):
            ring = Ring()
            ring.call = replayed(lambda x, ring=ring: torch.conv2d(x, weight))
            want = ring.call(x)
            assert torch.equal(ring.call(x), want)
    finally:
        gc.set_threshold(*threshold)
