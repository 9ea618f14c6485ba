"""The demo a visitor runs first."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.py"


@pytest.mark.long
def test_the_demo_is_quick_and_beats_the_blend(tmp_path):
    done = subprocess.run(
        [sys.executable, str(DEMO)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    ours, blend = map(float, re.findall(r"([\d.]+) dB", done.stdout))
    assert ours > blend + 1
    assert all(
        (tmp_path / "demo" / name).stat().st_size > 10000 for name in ("in.mp4", "out.mp4", "sheet.png")
    )
