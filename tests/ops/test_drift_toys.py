"""Drifting trains: two modes from anywhere, digits from noise, and digits restored more like real ones than by L2."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from examples import drifting as toys


@pytest.fixture(scope="module")
def data():
    return toys.digits()


@pytest.mark.parametrize("start", toys.STARTS)
def test_both_modes_are_found_wherever_the_generator_begins(start):
    made, real = toys.two_modes(start), toys.bimodal(1000)
    assert toys.energy(made, real) < 0.15  # 1.7 to 20 at the start, 0.002 between two real sets
    assert 0.3 < float((made[:, 0] > 0).float().mean()) < 0.7


def test_the_published_floor_collapses_where_log_space_does_not():
    made = toys.two_modes("between the modes", floor=toys.PUBLISHED_FLOOR)
    assert made.std(0).max() < 0.2
    assert toys.energy(made, toys.bimodal(1000)) > 1


def test_digits_from_noise_vary_like_real_ones_unless_floored(data):
    real = torch.stack([data.train[data.labels == c].std(0).mean() for c in range(10)]).mean()
    spread, far = [], []
    for floor in (0.0, toys.PUBLISHED_FLOOR):
        made = toys.generated(data, floor=floor, steps=150)
        spread.append(float(made.std(1).mean() / real))
        far.append(data.far(made.flatten(0, 1)))
    assert spread[0] > 0.5 > 0.25 > spread[1]
    assert far[0] < 0.7 * far[1]


def test_drifting_restores_digits_nearer_to_real_ones_than_l2_which_blurs(data):
    fill, paired, drift = (toys.restored(data, pull) for pull in (None, "paired", "drift"))
    assert paired.error < drift.error < 0.6 * fill.error
    assert data.far(data.test) < drift.frechet < 0.9 * paired.frechet < 0.1 * fill.frechet
    sharp = [toys.contrast(x.pictures) / toys.contrast(data.test) for x in (paired, drift)]
    assert sharp[0] < 0.75 < 0.85 < sharp[1] < 1.1
    assert drift.right > 0.9 > 0.5 > fill.right


@pytest.mark.long
def test_the_figure_is_drawn(tmp_path):
    out = tmp_path / "f.png"
    script = Path(toys.__file__)
    done = subprocess.run([sys.executable, str(script), "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 20_000
