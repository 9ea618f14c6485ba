"""The benchmark of drifting compares what is the same, at the plan's counts of features."""

from functools import partial

import pytest
import torch

from bench import common, drift, drift_nets, report
from tween.ops.drift import Weights, drift_loss


def test_both_forms_are_the_same_where_they_mean_the_same():
    """One class, location and temperature: there is nothing to share a scale with."""
    x, pos, unc = (torch.randn(1, n, 1, 5, dtype=torch.float64) for n in (4, 6, 3))
    weight = torch.tensor([[0.0, 0.5, 2.0]], dtype=torch.float64)
    x.requires_grad_()
    slow = drift.one_class(x[0, :, 0], pos[0, :, 0], unc[0, :, 0], weight[0], 0.2)
    fast = drift_loss({"a": x}, {"a": pos}, {"a": unc}, weights=Weights(neg=weight), temperatures=(0.2,))
    torch.testing.assert_close(slow, fast)
    torch.testing.assert_close(*(torch.autograd.grad(loss, x)[0] for loss in (slow, fast)))


@pytest.mark.parametrize(("px", "patches", "count"), [(64, (), 9), (64, (2, 4), 125), (256, (2, 4), 241)])
def test_features_are_as_many_as_the_plan_counts(px, patches, count):
    picture = torch.rand(2, 3, px, px)
    found = drift_nets.features(picture, drift_nets.ResNet18()(picture), patches)
    assert (
        sum(v.shape[1] for v in found.values()) == count
    )  # the branch without an encoder makes it 126 and 242
    deviation = found["stage0/whole/std"]
    assert deviation.shape == (2, 1, 64)
    assert (deviation > 0).all()


def test_the_suite_times_every_form_and_says_how_much_batching_saves(monkeypatch, tmp_path):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    for name, value in (("CLASSES", 2), ("EACH", 2), ("POSITIVES", 4), ("UNCONDITIONAL", 2), ("QUEUE", 8)):
        monkeypatch.setattr(drift, name, value)
    monkeypatch.setattr(drift, "Refiner", partial(drift_nets.Refiner, width=32, depth=1))
    drift.main(["--device", "cpu", "--runs", "1"])
    result = common.load("drift_cpu")
    assert {(r["what"], r["way"]) for r in result["rows"]} >= {
        (what, way) for what in ("loss", "step") for way in ("per class", "batched")
    }
    assert {r["features"] for r in result["rows"]} == {126}
    assert result["speedups"]["loss/64"] > 2  # 504 calls against 26
    assert result["plan"]["step"] == 6.1
    drawn = report.table("drift_cpu")
    assert "| ms | loss, 64 px, 126 features | step, 64 px, 126 features |" in drawn
    assert "6.1x, 850, 1050" in drawn
