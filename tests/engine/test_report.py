"""report.md says what a run was and came to, and keeps what people wrote in it."""

import json

import pytest

from tests.engine.toy import batch, toy_run
from tween.engine import report, train


def sections(folder):
    text = (folder / "report.md").read_text()
    parts = text.split("\n## ")
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts[1:]}


def test_every_section_of_the_contract_is_filled(tmp_path):
    about = {"source": "noise", "samples": 192}
    run = toy_run(
        tmp_path, about=about, validate=lambda m, s: {"psnr": 20.0 + s}, best_key="psnr", eval_interval=4
    )
    done = train(run)
    told = sections(tmp_path)
    assert list(told) == ["Header", "Data", "Model and losses", "Runtime", "Results", "Decision"]
    config = json.loads((tmp_path / "run.json").read_text())
    (sitting,) = config["sittings"]
    assert all(str(sitting[key]) in told["Header"] for key in ("began", "branch", "git", "command"))
    assert "| samples | 192 |" in told["Data"]
    assert (
        f"| parameters | {sum(p.numel() for p in run.task.modules.parameters())} |"
        in told["Model and losses"]
    )
    assert "| steps | 12 of 12 |" in told["Runtime"]
    assert f"| samples/s | {done.samples_per_s:.4g} in the last" in told["Runtime"]
    assert "GiB" in told["Runtime"]
    assert "| 12 | 32 |" in told["Results"]
    assert "not finite: 0." in told["Results"]
    assert told["Decision"] == report.UNDECIDED


def test_a_decision_stays_and_sittings_add_up(tmp_path):
    train(toy_run(tmp_path), until=5)
    text = (tmp_path / "report.md").read_text()
    (tmp_path / "report.md").write_text(text.replace(report.UNDECIDED, "Keep: +0.3 dB.\n\nBut | slow."))
    train(toy_run(tmp_path))
    assert sections(tmp_path)["Decision"] == "Keep: +0.3 dB.\n\nBut | slow."
    assert "12 of 12" in sections(tmp_path)["Runtime"]
    config = json.loads((tmp_path / "run.json").read_text())
    assert [sitting["step"] for sitting in config["sittings"]] == [0, 5]


def test_a_run_that_begins_anew_forgets_the_old_sittings(tmp_path):
    train(toy_run(tmp_path), until=5)
    train(toy_run(tmp_path), resume=False)
    assert len(json.loads((tmp_path / "run.json").read_text())["sittings"]) == 1


def test_long_curves_are_thinned_out_to_their_ends():
    lines = [{"step": i} for i in range(100)]
    kept = report.thinned(lines)
    assert len(kept) == report.ROWS
    assert (kept[0], kept[-1]) == (lines[0], lines[-1])
    assert report.thinned(lines[:5]) == lines[:5]


def test_skipped_steps_are_told(tmp_path):
    train(toy_run(tmp_path, batch=lambda i: batch(i) * (float("nan") if i in (2, 7) else 1)))
    assert "not finite: 2." in sections(tmp_path)["Results"]


@pytest.mark.parametrize("value", ["a|b", {"k": "a|b"}])
def test_a_bar_does_not_break_a_table(value):
    assert "a\\|b" in report.table([("x", value)])[2]


def test_peak_memory_is_at_least_what_is_held():
    import torch

    held = torch.ones(2**24)  # 64 MB
    assert report.peak_memory() > held.numel() * 4
