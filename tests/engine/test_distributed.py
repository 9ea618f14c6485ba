"""Two processes are one with twice the parts; what torchrun starts joins up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.engine.toy import toy_run
from tween.engine import checkpoint, train

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from pathlib import Path
from tests.engine.toy import toy_run
from tween.engine import train
print(train(toy_run(Path(sys.argv[1]), steps=4, log_interval=2)))
"""


@pytest.mark.long
def test_two_processes_equal_one(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [*torchrun, str(tmp_path / "worker.py"), str(tmp_path / "two")]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    train(toy_run(tmp_path / "one", steps=4, log_interval=2, accumulate=2))
    one, two = (checkpoint.read(tmp_path / name / "last.safetensors")[0] for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=1e-4, msg=name)
