"""The container's files: what they copy and install is there, and both recipes run, with two processes, at toy size."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image

from tween.cli import train
from tween.engine.checkpoint import read
from tween.nn.vae.sd import open_sd

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "docker"
DOCKERFILE = (HERE / "Dockerfile").read_text()
README = (HERE / "README.md").read_text()
SCRIPTS = ("latent_mae.sh", "drifting_latent.sh")
JOINED = DOCKERFILE.replace("\\\n", " ")


def words(script):
    """The command of a recipe, variables and all."""
    line = (HERE / script).read_text().replace("\\\n", " ").split("exec ")[1]
    return shlex.split(line)


def test_every_path_that_is_copied_is_there():
    copied = re.findall(r"^COPY (.+)$", JOINED, re.MULTILINE)
    sources = [ROOT / source for line in copied for source in line.split()[:-1]]
    assert len(sources) >= 8
    assert [p for p in sources if not p.exists()] == []
    installed = {p.name for p in sources if p.parent == HERE}
    assert installed == {p.name for p in HERE.glob("*.sh")}
    for name in installed:
        assert "chmod +x" in JOINED
        assert f"/usr/local/bin/{name}" in JOINED


def test_what_the_build_reads_is_copied():
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in (about["readme"], *about["license-files"], "pyproject.toml", "src"):
        assert name in JOINED.split("WORKDIR")[1]


def test_every_extra_that_is_installed_exists():
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", JOINED)
    assert set(extras.split(",")) <= about["optional-dependencies"].keys()
    assert {"train", "vae"} <= set(extras.split(","))
    assert "tween" in about["scripts"]
    assert re.search(r'ENTRYPOINT \["entrypoint.sh"\]\nCMD \["tween", "doctor"\]', DOCKERFILE)


@pytest.mark.parametrize("script", [*SCRIPTS, "entrypoint.sh"])
def test_it_is_a_script(script):
    path = HERE / script
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", path]).returncode == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_flag_is_ours_and_a_step_is_4096_samples_on_8_gpus(script):
    command = words(script)
    assert command[:3] == ["torchrun", "--standalone", "--nproc_per_node=${GPUS:-8}"]
    at = command.index("train")
    assert command[at - 2 : at] == ["-m", "tween"]
    args = train.parser().parse_args([word for word in command[at + 1 :] if word != "$@"])
    each = args.batch_size if "batch_size" in args else args.n_classes_step * args.n_gen_per_class
    assert args.effective_batch == 4096 == 8 * each


def test_the_readme_says_what_is_and_what_is_not():
    assert "This image was not built here" in README
    for name in SCRIPTS:
        assert name in README
    for folder in ("/data", "/vae", "/runs"):
        assert f"`{folder}`" in README
        assert f'"{folder}"' in DOCKERFILE
    for line in re.findall(r"docker build -f (\S+)", README + DOCKERFILE):
        assert (ROOT / line).is_file()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("docker")
    for name in "ab":
        (root / "data" / "train" / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (20, 18), (30 * i, 90, 40)).save(root / "data" / "train" / name / f"{i}.png")
    torch.manual_seed(0)
    open_sd(None).vae.save_pretrained(root / "vae")
    return root


def ran(place, script, *more):
    """A recipe in the container's way: through its entrypoint, by its environment, with further flags."""
    own = {
        "GPUS": "2",
        "DATA": place / "data",
        "VAE": place / "vae",
        "RUNS": place / "runs",
        "OMP_NUM_THREADS": "1",
    }
    path = f"{Path(sys.executable).parent}:{HERE}:{os.environ['PATH']}"
    small = shlex.split(
        "--device cpu --no-amp --image-size 16 --steps 1 --effective-batch 16 --log-interval 1"
    )
    return subprocess.run(
        [HERE / "entrypoint.sh", script, *small, *more],
        env=os.environ | {k: str(v) for k, v in own.items()} | {"PATH": path},
        capture_output=True,
        text=True,
        cwd=place,
    )


def test_both_recipes_run_one_after_the_other(place):
    done = ran(place, "latent_mae.sh", "--encoder-width", "8", "--batch-size", "4")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("tween 0.")
    head = read(place / "runs/latent-mae/last.safetensors")[1]["config"]
    assert (head["world"], head["accumulate"]) == (2, 2)
    few = shlex.split(
        "--n-classes-step 2 --n-gen-per-class 2 --n-pos-per-class 2 --drift-n-unc 2 --layers 1 --width 64"
    )
    done = ran(place, "drifting_latent.sh", *few)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("finished at step 1") == 1  # told by one process
    head = read(place / "runs/drifting-latent/last.safetensors")[1]["config"]
    assert (head["world"], head["accumulate"]) == (2, 2)
    assert head["optim"]["muon"]


def test_a_recipe_without_data_says_so(place):
    bare = {k: v for k, v in os.environ.items() if k not in ("DATA", "VAE", "RUNS")}
    done = subprocess.run(["sh", HERE / "latent_mae.sh"], env=bare, capture_output=True, text=True)
    assert done.returncode != 0
    assert "DATA" in done.stderr
