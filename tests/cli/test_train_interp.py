"""`tween train interp`: the plan's command lines run on data of every kind, stop, go on, and lead to one another."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from tests.data import layouts, made
from tests.recipes.toy_feed import SMALL
from tween.cli import train, train_interp
from tween.cli.main import COMMANDS, main
from tween.engine.checkpoint import header
from tween.models.interp import config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    layouts.vimeo(root / "vimeo_triplet")
    layouts.vimeo(root / "vimeo_septuplet", frames=7)
    layouts.vimeo(root / "empty", train=())
    layouts.xtrain(root / "X4K1000FPS", size=(160, 160))
    return made.folder(root) | {"root": root}


@pytest.fixture
def run(data, tmp_path, monkeypatch):
    """Runs the command with a small network in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "THESIS", SMALL)
    quick = "--device cpu --crop 64 --num_workers 0 --precision fp32 --batch_size 1"
    places = {"VIMEO": data["root"] / "vimeo_triplet", "SEPTUPLET": data["root"] / "vimeo_septuplet"}
    places |= {"X4K": data["root"] / "X4K1000FPS", "CLIPS": data["data"], "PACKED": data["packed"]}
    places |= {"EMPTY": data["root"] / "empty"}
    places |= {"PHOTOS": data["photos"], "VAL": data["val"]}

    def command(line, quick=quick):
        words = shlex.split(f"{line} {quick}")
        return main(["train", "interp", *(str(places.get(word, word)) for word in words)])

    return command


def test_the_three_phases_follow_one_another(run, tmp_path, capsys):
    """The plan's own commands (4.1.4, 4.2.4, 4.3.4), a few steps long."""
    assert run("--data_path VIMEO --phase 1 --epochs 1 --exp_name exp1c_hybrid --val VAL") == 0
    two = "--data_path VIMEO --phase 2 --epochs 4 --lr 1e-4 --resume exp1c_hybrid_best --freeze_backbone 2"
    assert run(f"{two} --exp_name exp2c_feature_warp --val VAL") == 0
    out = capsys.readouterr().out
    assert "runs/exp1c_hybrid/best.safetensors: " in out
    assert "finished at step 8" in out
    three = "--data_path VIMEO --x4k_path X4K --mixed_ratio 2:1 --phase 3 --lr 5e-5 --resume exp2c_feature_warp_best"
    assert run(f"{three} --epochs 3 --curriculum --curriculum_T 1 --exp_name exp3d_curriculum --val VAL") == 0
    out = capsys.readouterr().out
    assert "0 new, 0 left over" in out
    assert "finished at step 9" in out
    for name, last in (("exp1c_hybrid", 2), ("exp2c_feature_warp", 8), ("exp3d_curriculum", 9)):
        folder = tmp_path / "runs" / name
        assert header(folder / "last.safetensors")["step"] == last
        assert header(folder / "best.safetensors")["kind"] == "lean"
        assert "## Decision" in (folder / "report.md").read_text()
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert sum("psnr" in line for line in log) == {2: 1, 8: 4, 9: 3}[last]  # once an epoch
        assert list(folder.glob("events.out.tfevents.*"))
    told = json.loads((tmp_path / "runs/exp3d_curriculum/run.json").read_text())["about"]
    assert told["mix"] == "2:1"
    assert told["schedule in steps"]["growth"] == [[0, 64], [3, 96], [6, 128]]
    assert "exp2c_feature_warp/best.safetensors" in told["begun from"]


def test_stopped_and_repeated_it_goes_on(run, tmp_path, capsys):
    line = "--data CLIPS --packed PACKED --phase 1 --steps 3 --exp-name N"
    assert run(f"{line} --minutes 0") == 0
    assert "stopped; the same command goes on at step 1" in capsys.readouterr().out
    assert run(line) == 0
    assert "finished at step 3" in capsys.readouterr().out
    sittings = json.loads((tmp_path / "runs/N/run.json").read_text())["sittings"]
    assert [sitting["step"] for sitting in sittings] == [0, 1]


@pytest.mark.parametrize(
    "line",
    [
        "--data CLIPS --packed PACKED --photos PHOTOS --phase 2 --synthetic 1 --distill 0.01",
        "--data CLIPS --packed PACKED --phase 3 --mixed-ratio 1:1 --curriculum",
        "--data_path SEPTUPLET --phase 1 --backbone_mode mamba2_only",
        "--data_path VIMEO --phase 1 --no-use_ecab",
        "--data_path VIMEO --phase 1 --use_mhc --grad_accum 2",
        "--data_path VIMEO --x4k_path X4K --phase 3 --mixed_ratio 0:1",
    ],
)
def test_every_kind_of_data_and_network_trains(run, line):
    assert run(f"{line} --steps 2 --no-tensorboard --val VAL --exp-name N") == 0


def test_phases_are_validated_on_any_test_set_and_weights_of_the_losses_are_flags(
    run, data, tmp_path, capsys
):
    easy = layouts.snu_film(tmp_path / "snu", "easy", steps=2)
    for path in (easy / "test").rglob("*.png"):
        layouts.texture(path)
    line = "--data-path VIMEO --phase 2 --steps 1 --warmup 0 --exp-name N"
    flags = "--loss_ter_weight 0 --loss-lap-weight 2 --loss-vgg-weight 0 --loss-flow-smooth-weight 0.5"
    flags += " --loss-ssim-weight 0.1 --loss-geometry-weight 0.01"
    assert run(f"{line} {flags} --val {easy} --val-set snu-film-easy") == 0
    assert "without the VGG term" not in (said := capsys.readouterr().out)
    assert "warm-up takes" not in said
    folder = tmp_path / "runs" / "N"
    last = [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]
    assert {name for name in last[0] if name.startswith("loss_")} == {
        "loss_lap",
        "loss_flow_smooth",
        "loss_ssim",
        "loss_geometry",
        "loss_total",
    }
    measured = ["--path", str(easy), "--device", "cpu", "--json", "easy.json"]
    assert main(["eval", "N", "snu-film-easy", *measured]) == 0
    assert last[1]["psnr"] == pytest.approx(json.loads(Path("easy.json").read_text())["psnr"], abs=1e-4)
    told = json.loads((folder / "run.json").read_text())["settings"]["weights"]["composite"]
    given = {"lap": 2.0, "ter": 0.0, "vgg": 0.0, "flow_smooth": 0.5, "ssim": 0.1, "geometry": 0.01}
    assert told == given | {"charbonnier": 0.0}


def test_a_warm_up_that_outlasts_the_run_is_told(run, capsys):
    assert run("--data-path VIMEO --phase 1 --dry-run --epochs 9") == 0
    assert "warm-up takes 2000 of 18 steps: train for longer" in capsys.readouterr().out


def test_a_dry_run_says_what_fits_and_writes_nothing(run, tmp_path, capsys):
    assert run("--data_path VIMEO --phase 2 --dry_run --freeze_backbone 1") == 0
    out = capsys.readouterr().out
    assert "backbone 0 (frozen)" in out
    assert "flow 0 (frozen)" not in out
    assert "parameters: backbone " in out
    assert "GiB with batches of 1" in out
    assert "largest batch that fits: " in out
    assert "freeze 2" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--phase 1", "training needs --data-path"),
        ("--phase 1 --data CLIPS --data-path VIMEO", "training needs --data-path"),
        ("--phase 1 --data-path gone", "gone should hold"),
        ("--phase 3 --data-path VIMEO", "a mix of 2:1 needs --x4k-path"),
        ("--phase 1 --data-path VIMEO --curriculum", "--curriculum is for phase 3"),
        ("--phase 1 --data-path VIMEO --mixed-ratio 3:1", "--mixed-ratio is for phase 3"),
        ("--phase 2 --data-path VIMEO --resume phase1_best", "should name a run, NAME_best or a file"),
        ("--phase 1 --data-path VIMEO --vgg gone.pth", "the VGG loss needs the weights gone.pth"),
        ("--phase 1 --data CLIPS --packed PACKED --synthetic 2", "synthetic should be a share"),
        ("--phase 1 --data-path VIMEO --steps 0", "steps should be at least 1"),
        ("--phase 1 --data-path VIMEO --loss-ter-weight -1", "should be 0 or more, but that of ter is -1"),
        ("--phase 1 --data-path VIMEO --val VAL --val-set snu", "--val-set should be one of vimeo,"),
        (
            "--phase 1 --data-path VIMEO --val-set xtest-4k",
            "--val-set xtest-4k needs its folder; give it by --val",
        ),
        ("--phase 2 --data-path VIMEO --distill 0.01", "--distill pulls to flow that batches bring"),
        ("--phase 3 --data-path VIMEO --x4k-path X4K --mixed-ratio 0:0", "a mix of 0:0 has nothing in it"),
        ("--phase 3 --data-path VIMEO --x4k-path X4K --curriculum-T 0", "but got 0 and 0"),
        ("--phase 2 --data-path VIMEO --freeze-backbone -1", "frozen for 0 epochs or more"),
        ("--phase 1 --data-path VIMEO --lr -1", "lr should be 0 or more, but got -1.0"),
        ("--phase 1 --data-path VIMEO --warmup -1", "warmup should be 0 or more, but got -1"),
        ("--phase 1 --data-path EMPTY", "should name scenes, but is empty; copy it again"),
    ],
)
def test_mistakes_are_one_line(run, capsys, line, said):
    assert run(line) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_fewer_than_no_workers_is_one_line(run, capsys):
    assert run("--phase 1 --data-path VIMEO", quick="--device cpu --num-workers -1") == 2
    assert capsys.readouterr().err.endswith("num_workers should be 0 or more, but got -1\n")


def test_a_ratio_that_is_none(run, capsys):
    with pytest.raises(SystemExit) as stop:
        run("--phase 3 --data-path VIMEO --mixed-ratio two")
    assert stop.value.code == 2
    assert "expected two whole numbers such as 2:1" in capsys.readouterr().err


def test_flags_take_underscores_but_values_keep_theirs():
    words = ["interp", "--phase", "1", "--exp_name", "a_b", "--data_path=x_y", "--no-use_ecab"]
    args = train.parser().parse_args(train.dashed(words))
    assert (args.name, str(args.data_path), args.no_use_ecab) == ("a_b", "x_y", True)


def test_flags_reach_the_network():
    flags = "interp --phase 1 --backbone-mode gated_attn_only --use-mhc --no-use-ecab --stem-stride 2"
    args = vars(train.parser().parse_args(shlex.split(flags)))
    net = train_interp.network(args)
    assert (net.block.backbone, net.block.residual, net.block.channel_attention) == (
        "gated_attn_only",
        "mhc",
        "cab",
    )
    assert net.stem_stride == 2
    default = vars(train.parser().parse_args(["interp", "--phase", "1", "--ssd", "bf16"]))
    assert train_interp.network(default) == config.THESIS


TROUBLES = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"
COMMAND_LINES = re.findall(r"^    tween (.+)$", TROUBLES.read_text(), re.MULTILINE)


def test_every_trouble_of_the_plans_has_an_answer():
    sections = dict(re.findall(r"^### (.+)\n((?:(?!^#).*\n)+)", TROUBLES.read_text(), re.MULTILINE))
    asked = {
        "PSNR falls far behind phase 1": "backbone 0 (frozen)",  # 4.2.7
        "The loss does not converge": "--lr 5e-5 --freeze-backbone 80",
        "Large motion stays blurred": "motion.png",
        "Out of memory": "--dry-run",
        "Crops of 512 do not fit": "--crop 512",  # 4.3.7
        "Too few scenes: overfitting": "--mixed-ratio 3:1",
        "Out of memory at 4K in use": "--scale 0.25",
        "PSNR on Vimeo90K falls": "--compare",
    }
    assert sections.keys() == asked.keys()
    assert [title for title, answer in asked.items() if answer not in sections[title]] == []


@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if line.startswith("train")])
def test_its_training_commands_are_understood(line):
    words = shlex.split(line)[1:]
    assert train.parser().parse_args(words).recipe == words[0]


def test_its_other_commands_exist():
    assert {line.split()[0] for line in COMMAND_LINES} <= set(COMMANDS)


def test_the_largest_crops_are_tried_by_a_dry_run(run, capsys):
    assert (
        run(
            "--phase 3 --x4k-path X4K --mixed-ratio 0:1 --crop 160 --batch-size 1 --dry-run",
            quick="--device cpu --num-workers 0",
        )
        == 0
    )
    assert "largest batch that fits: " in capsys.readouterr().out


def test_another_configuration_and_an_old_checkpoint_are_one_line(run, tmp_path, capsys):
    line = "--data-path VIMEO --phase 1 --steps 1 --exp-name N"
    assert run(line) == 0
    capsys.readouterr()
    old = tmp_path / "phase1.pkl.safetensors"
    old.write_bytes(b"\x80\x04K\x01.")
    for flags, said in (
        ("--use-mhc", "is a checkpoint of another configuration (block.residual was plain, now mhc)"),
        ("--phase 2", "is a checkpoint of another configuration (phase was 1, now 2)"),
        ("--ssd bf16", "is a checkpoint of another configuration (block.ssd_fp32 was True, now False)"),
        (f"--exp-name M --resume {old}", "expected a checkpoint at"),
    ):
        assert run(f"{line} {flags}") == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


def test_out_of_memory_is_one_line(run, capsys, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("tween.engine.loop.take_step", full)
    assert run("--data-path VIMEO --phase 1 --steps 1 --batch-size 4 --exp-name N") == 2
    err = capsys.readouterr().err
    assert "should fit into the GPU's memory" in err
    assert err.count("\n") == 1
