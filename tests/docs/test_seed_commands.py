"""docs/seed-commands.md: every command of the plans has a row, and what stands beside it runs on small data."""

import io
import re
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.data import layouts, made
from tests.docs.plans import found
from tests.recipes.toy_feed import SMALL
from tween.cli import play, train
from tween.cli.main import main
from tween.data import middlebury, ucf101, x4k
from tween.models.interp import config
from tween.recipes import ablate_rows, search
from tween.recipes.search_space import arguments
from tween.video.read import probe

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "seed-commands.md").read_text()
PLANS = [line.split(" ", 1) for line in Path(__file__).with_name("plans.txt").read_text().splitlines()]
LIVE = ("000", "001", "002", "003")
SPLAT, IMPUTE = "002", "003"  # run by test_seed_splat.py and test_seed_impute.py
TORCHRUN = re.compile(r"torchrun --nproc_per_node=\d -m tween ")

HEADS = ([" the plan ", " tween "], [" experiment ", " rows "])

STEP = "--batch-size 1 --crop 64 --device cpu --precision fp32 --num-workers 0"
QUICK = {
    "train": f"{STEP} --no-compile --dry-run",
    "eval": "--device cpu",
    "bench": "--device cpu --sizes 64x64 --runs 1",
    "search": f"{STEP} --trials 1 --epochs 1 --epoch-samples 1 --val VAL",
    "ablate": f"{STEP} --steps 1 --seeds 1 --val VAL",
    "interpolate": "--device cpu --overwrite",
    "fill": "--device cpu --model blend",
}
"""What makes a command small."""
ANYWAY = re.compile(r"--(batch-size|sizes) \S+ ?")
"""What QUICK sets in any case: rows that differ in it alone are run once."""


def rows() -> list[tuple[str, str, str]]:
    """(plan, left, right) of every row of the page."""
    parts = re.split(r"^## (\d{3})", PAGE, flags=re.MULTILINE)[1:]
    lines = [
        (seed, line) for seed, text in zip(parts[::2], parts[1::2], strict=True) for line in text.split("\n")
    ]
    cells = [(seed, re.split(r"(?<!\\)\|", line)[1:-1]) for seed, line in lines if line.startswith("| ")]
    cells = [(seed, pair) for seed, pair in cells if pair not in HEADS]
    return [(seed, *(cell.strip().replace("\\|", "|") for cell in pair)) for seed, pair in cells]


def ours(right: str) -> list[str]:
    """The commands of tween in a cell, without torchrun."""
    spans = re.findall(r"`([^`]+)`", right)
    return [line.removeprefix("tween ") for s in spans if (line := TORCHRUN.sub("tween ", s))[:6] == "tween "]


def elsewhere(seed: str, command: str) -> bool:
    """Whether another file runs it."""
    return seed == SPLAT or (seed == IMPUTE and not command.startswith("fill "))


def live(*kinds: str) -> list[tuple[str, str]]:
    """(plan, command) of each kind that works today, once."""
    there = [(s, c) for s, _, right in rows() for c in ours(right) if not elsewhere(s, c)]
    known = {(seed, ANYWAY.sub("", c)): None for seed, c in there if c.split()[0] in kinds}
    return list(known)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Every dataset of the plans in small, under the words that the page has for them."""
    root = tmp_path_factory.mktemp("sets")
    with pytest.MonkeyPatch.context() as few:
        few.setattr(middlebury, "SCENES", middlebury.SCENES[:1])
        layouts.middlebury_other(root / "MiddleBury")
    layouts.vimeo(root / "vimeo_triplet")
    layouts.vimeo(root / "vimeo_septuplet", frames=7)
    layouts.xtest(layouts.xtrain(root / "X4K", size=(136, 136)), ("Type1/TEST01",), size=(128, 64))
    layouts.ucf101(root / "UCF101", count=2)
    for level, steps in {"easy": 2, "medium": 4, "hard": 8, "extreme": 16}.items():
        layouts.snu_film(root / "SNU-FILM", level, steps, lines=1)
    layouts.video(root / "input.mp4", n=5)
    layouts.board(root / "board" / "board.json")
    places = {"X4K": root / "X4K", "UCF101": root / "UCF101", "SNU": root / "SNU-FILM", "root": root}
    return places | {"MIDDLEBURY": root / "MiddleBury", "VAL": made.folder(root / "made")["val"]}


@pytest.fixture
def tween(data, monkeypatch, capsys):
    """Runs a row's command as it stands, but for what makes it small; 0 is the only exit code that will do."""
    monkeypatch.setattr(middlebury, "SCENES", middlebury.SCENES[:1])
    for module, name, value in (
        (ucf101, "COUNT", 2),
        (x4k, "CLIPS", 2),
        (x4k, "SIZE", (136, 136)),
        (x4k, "TEST_SIZE", (128, 64)),
    ):
        monkeypatch.setattr(module, name, value)

    def run(seed: str, line: str, more: str = "") -> str:
        words = shlex.split(f"{line} {QUICK.get(line.split()[0], '')} {more}")
        kind = (
            words[2] if words[0] == "eval" else {"000": "vimeo-septuplet"}.get(seed)
        )  # the paths of the plans
        vimeo = data["root"] / ("vimeo_septuplet" if kind == "vimeo-septuplet" else "vimeo_triplet")
        places = data | {"VIMEO": vimeo, "input.mp4": data["root"] / "input.mp4"}
        places |= {"board.json": data["root"] / "board" / "board.json"}
        code = main([str(places.get(word, word)) for word in words])
        said = capsys.readouterr()
        assert code == 0, f"tween {shlex.join(words)}\n{said.out}{said.err}"
        return said.out

    return run


@pytest.fixture(scope="module")
def place(data, tmp_path_factory):
    """A folder with every run that the rows name: one step of phase 1 or 2, copied. The network is a small one."""
    place = tmp_path_factory.mktemp("place")
    names = {
        1: ("phase1_hybrid", "thesis_v1", "phase1_hybrid_v2"),
        2: ("exp2c_feature_warp", "exp3d_curriculum"),
    }
    paths = f"--data-path {data['root'] / 'vimeo_triplet'} --val {data['VAL']} --no-tensorboard"
    with pytest.MonkeyPatch.context() as small:
        small.setattr(config, "THESIS", SMALL)
        small.chdir(place)
        for phase, (first, *others) in names.items():
            line = f"train interp --phase {phase} --steps 1 --exp-name {first} {STEP} {paths}"
            assert main(shlex.split(line)) == 0
            for other in others:
                shutil.copytree(place / "runs" / first, place / "runs" / other)
    return place


@pytest.fixture
def small(place, monkeypatch):
    """In that folder, where the plan's network is the small one."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(config, "THESIS", SMALL)
    monkeypatch.setattr(config, "ablations", partial(config.ablations, base=SMALL))
    monkeypatch.setattr(ablate_rows, "rows", partial(ablate_rows.rows, base=SMALL))
    monkeypatch.setattr(search, "arguments", partial(arguments, base=SMALL))
    return place


@pytest.mark.parametrize("seed", sorted({seed for seed, _ in PLANS}))
def test_every_command_of_the_plans_has_a_row(seed):
    there = [left for name, left, _ in rows() if name == seed]
    wanted = [f"`{line}`" for name, line in PLANS if name == seed]
    assert wanted
    assert [line for line in wanted if there.count(line) != 1] == []


def test_the_list_of_commands_is_that_of_the_plans(shared):
    folder = shared.parent / "seeds"
    if not folder.is_dir():
        pytest.skip("the plans themselves are not here")
    assert [[seed, line] for seed, lines in found(folder).items() for line in lines] == PLANS


def test_every_row_has_an_answer():
    for _, left, right in rows():
        assert ours(right) or re.search(r"`[^`]+`|the same|not needed", right), left


def test_walking(tmp_path, monkeypatch):
    """With the released world; the page is one of this machine that nobody opens."""
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    Path("FILE").write_text("W")
    pages = []
    monkeypatch.setattr(play, "web", lambda: lambda studio, port, ready: pages.append(studio.world.name))
    monkeypatch.setattr(sys, "stdin", io.StringIO("W\n\nn\n"))
    walks = live("generate", "play")
    assert len(walks) == 4
    for _, line in walks:
        few = line.replace("--latents 150", "--latents 2 --overwrite").replace(
            "--terminal", "--terminal --overwrite"
        )
        assert main(shlex.split(f"{few} --device cpu")) == 0
        filmed = Path("outputs/demo.mp4")
        if "-o" in line:
            assert probe(filmed).frames == (1 if "--terminal" in line else 5)
    assert pages == ["doom"]


def test_the_plans_flags_are_ours():
    """The left of a row, with underscores and all, means what the right means."""

    def parsed(words):
        return vars(train.parser().parse_args(train.dashed(["interp", *words])))

    pairs = [(left, ours(right)[0]) for seed, left, right in rows() if "train.py " in left and seed in LIVE]
    pairs = [
        (shlex.split(left.strip("`"))[3:], shlex.split(right)[2:])
        for left, right in pairs
        if "..." not in left
    ]
    assert len(pairs) == len([line for seed, line in PLANS if "train.py" in line])
    for plan, own in pairs:
        assert parsed(plan) | {"ablation": None} == parsed(own) | {"ablation": None}
    assert {parsed(own)["ablation"] for _, own in pairs} == {None, "exp2b-image-warp"}


def test_training(tween, small):
    before = set(small.rglob("*"))
    lines = [(seed, line) for seed, line in live("train") if "--from-study" not in line]
    assert len(lines) > 15
    for seed, line in lines:
        said = tween(seed, line)
        assert "peak memory" in said
        assert ("weights of runs/" in said) == ("--resume" in line)
        assert ("backbone 0 (frozen)" in said) == ("--phase 2" in line)
        assert ("ratio (0, 1)" in said) == ("--mixed-ratio 0:1" in line)
    assert set(small.rglob("*")) == before  # a dry run leaves nothing


def test_the_plans_network_trains_as_well(tween):
    (line, *_) = [line for seed, line in live("train") if seed == "001" and "--dry-run" in line]
    assert "backbone 1,039,612" in tween("001", line, "--stem-stride 4")


def test_measuring(tween, small):
    lines = live("eval", "bench")
    assert len({line.split()[2] for _, line in lines if "--path" in line}) == 10  # test sets
    for seed, line in lines:
        words, said = line.split(), tween(seed, line)
        if words[0] == "bench":
            assert words[3] in said
        elif "--targets" not in line:
            assert f"{words[1]} on {words[2]}: PSNR" in said


def test_searching(tween, small):
    for seed, line in live("search"):
        phase = re.search(r"phase\d", line).group()
        assert f"{phase}_hp_search: 1 trials (1 complete)" in tween(seed, line)
        assert Path(f"optuna_{phase}_results.csv").stat().st_size > 100
    import optuna

    study = optuna.load_study(
        study_name="phase1_hp_search", storage="sqlite:///optuna_phase1.db"
    )  # the plan's
    assert set(study.best_params) == {"lr", "weight_decay", "use_ecab", "use_mhc"}
    ((seed, line),) = [pair for pair in live("train") if "--from-study" in pair[1]]
    assert f"from phase1_hp_search: {study.best_params}" in tween(seed, line)


@pytest.mark.parametrize(("table", "row"), [("phase1", "exp1b*"), ("phase2", "exp2b*"), ("phase3", "exp3b*")])
def test_comparing(tween, small, table, row):
    ((seed, line),) = [pair for pair in live("ablate") if table == pair[1].split()[1]]
    assert "all results are there" in tween(seed, line, f"--rows {row}")


def test_every_experiment_is_named():
    named = set(re.findall(r"`([\w-]+)`", PAGE))
    experiments = {row.name for table in ("phase1", "phase2", "phase3") for row in ablate_rows.rows(table)}
    assert experiments <= named


def test_the_rest(tween, place, monkeypatch):
    monkeypatch.chdir(place)
    kinds = ("interpolate", "fill", "info", "data", "doctor")
    lines = live(*kinds)
    assert {line.split()[0] for _, line in lines} == set(kinds)
    for seed, line in lines:
        tween(seed, line)
    assert min(Path(name).stat().st_size for name in ("output.mp4", "out.mp4")) > 500
    assert len(live("train", "eval", "bench", "search", "ablate", *kinds)) == len(
        {
            (s, ANYWAY.sub("", c))
            for s, _, r in rows()
            for c in ours(r)
            if not elsewhere(s, c) and c.split()[0] not in ("generate", "play")
        }
    )


def test_an_experiment_of_a_later_phase_is_refused(tween, data, capsys):
    line = f"train interp --phase 1 --data-path {data['root'] / 'vimeo_triplet'} --ablation exp2b-image-warp"
    assert main(shlex.split(line)) == 2
    said = capsys.readouterr().err
    assert "in phase 1, but is exp2b-image-warp" in said
    assert said.count("\n") == 1
