"""Fixtures every floor uses."""

import os
import shutil

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall small ops
os.environ.setdefault("GOMP_SPINCOUNT", "0")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: threads of each would stand in line
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if (
    shutil.which("nvidia-smi") is None
):  # no GPU: kernels run in Triton's interpreter, asked for before its import
    os.environ.setdefault("TRITON_INTERPRET", "1")

import importlib
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tween", deadline=None)  # timing never decides a test
settings.load_profile("tween")


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


@pytest.fixture(scope="session", autouse=True)
def measured_once():
    """Which precision this CPU should use is measured once for each network; at every load it would take a second."""
    import torch

    module, chosen = importlib.import_module("tween.zoo.load"), {}
    measured = module.quickest

    def quickest(build):
        full = build(torch.float32)
        if type(full.net) not in chosen:
            chosen[type(full.net)] = next(measured(build).net.parameters()).dtype
        return full if chosen[type(full.net)] == torch.float32 else build(torch.bfloat16)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "quickest", quickest)
        yield
