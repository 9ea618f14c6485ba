"""Fixtures every floor uses."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall small ops
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and triplets: TWEEN_SHARED, else ../shared. Absent: skip, but never in CI."""
    root = Path(os.environ.get("TWEEN_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
    if not root.is_dir():
        message = f"no real clips at {root}; set TWEEN_SHARED to a folder that holds data/"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return root
