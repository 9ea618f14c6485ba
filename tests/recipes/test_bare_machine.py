"""A machine that only trains needs torch, NumPy, OpenCV and Pillow: no PyAV, no command line, no logging packages."""

import subprocess
import sys

from tests.data.made import folder

BARE = """
import sys

absent = "av scenedetect tyro rich tensorboard optuna webdataset diffusers sklearn vizdoom".split()
sys.modules.update(dict.fromkeys(absent))  # whoever imports one of them is told that there is none
from dataclasses import replace
from pathlib import Path

import tween.cli.ablate, tween.cli.train, tween.cli.train_splat, tween.evaluate.splat
import tween.recipes.splat, tween.recipes.thesis, tween.recipes.world
from tween.engine import train
from tween.recipes.interp import fast

root = Path(sys.argv[1])
places = {name: root / name for name in ("data", "packed", "photos", "val")}
run = fast(**places, device="cpu", steps=1, batch_size=2, synthetic=0.5, crop=(64, 64), compiled=False, workers=1)
print("PSNR", train(replace(run, runs=root / "runs")).metrics["psnr"])
"""


def test_it_trains_and_validates_where_little_is_installed(tmp_path):
    folder(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("PSNR")[-1]) > 0
