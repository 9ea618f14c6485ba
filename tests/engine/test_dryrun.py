"""A dry run takes real steps, says what they were like, and leaves nothing behind."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.engine.test_loop import Late
from tests.engine.toy import batch, toy_run
from tween.core import TweenError
from tween.engine import dryrun
from tween.engine.distributed import Ranks
from tween.engine.dryrun import dry_run, resized
from tween.engine.loop import begin, take_step


def test_it_is_the_first_step_of_the_run(tmp_path):
    run = toy_run(tmp_path / "real")
    expected = take_step(run, begin(run, False, Ranks()), Ranks())
    done = dry_run(toy_run(tmp_path / "dry"))
    assert done.values == pytest.approx({name: float(value) for name, value in expected.items()})
    assert done.seconds > 0
    assert 0 < done.peak < done.memory
    assert not (tmp_path / "dry").exists()


def test_gradients_by_part_are_zero_where_nothing_learns_yet(tmp_path):
    class Parts(Late):
        def __init__(self):
            super().__init__()
            self.modules = torch.nn.ModuleDict({"net": torch.nn.Sequential(*self.modules.values())})

        def params(self):
            a, b = (list(layer.parameters()) for layer in self.modules["net"])
            return {"main": [{"params": a, "begin": 4}, {"params": b}]}

        def loss(self, turn, batch, step):
            return {"near": self.modules["net"](batch).square().mean()}

    task = Parts()
    done = dry_run(toy_run(tmp_path, task=task))
    assert done.gradients["0"] == 0
    assert done.gradients["1"] == pytest.approx(done.values["norm"], rel=1e-4)


@pytest.fixture
def device(monkeypatch):
    """A device of 1000 bytes, a sample taking 7 and the rest 50, that refuses what is larger."""
    sizes = []

    def fits(run, state, size):
        sizes.append(size)
        return ({}, 0.1, 50 + 7 * size) if 50 + 7 * size <= 1000 else None

    monkeypatch.setattr(dryrun, "fits", fits)
    monkeypatch.setattr(dryrun, "total_memory", lambda device: 1000)
    return sizes


def test_the_largest_batch_fills_the_memory(tmp_path, device):
    done = dry_run(toy_run(tmp_path, batch_size=4))
    assert done.largest == int((0.92 * 1000 - 50) / 7)
    assert not done.tried  # on a CPU too large a batch would not fail but swap
    assert max(device) == 8


def test_a_batch_that_does_not_fit_says_which_would(tmp_path, device):
    with pytest.raises(TweenError, match="while 125 does; use --batch-size 125 --grad-accum 8 for the same"):
        dry_run(toy_run(tmp_path, batch_size=1000))


LARGE = """
import sys
from pathlib import Path

import torch

from tests.engine.toy import toy_run
from tween.engine.dryrun import dry_run

task = toy_run(Path(sys.argv[1])).task
task.modules["a"], task.modules["b"] = torch.nn.Linear(4, 2**21), torch.nn.Linear(2**21, 3)
done = dry_run(toy_run(Path(sys.argv[1]), task=task))
print(done.largest, done.memory)
"""


def test_more_memory_takes_larger_batches_for_real(tmp_path):
    """Activations so large (128 MB) that the allocator maps and unmaps each: what is freed is not held on to. In a
    process of its own, since what other tests left in memory would count."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", LARGE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    largest, memory = map(int, done.stdout.split())
    assert largest > 16
    each = 2**21 * 4  # one activation of a sample
    assert (memory * 0.92) / (20 * each) < largest < memory / each


@dataclass
class Pair:
    a: torch.Tensor
    b: tuple


def test_a_batch_of_any_kind_is_resized():
    x = batch(0)
    made = resized(Pair(x, (x[:, 0], {"c": x}, "name")), 20)
    assert torch.equal(made.a, torch.cat((x, x[:4])))
    assert torch.equal(made.b[1]["c"][:16], x)
    assert (made.b[0].shape, made.b[2]) == ((20,), "name")
    assert torch.equal(resized(x, 3), x[:3])
