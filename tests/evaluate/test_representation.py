"""The page of a feature space: what it measures, draws and says, and that the report of a run takes it up."""

import pytest
import torch
from PIL import Image

from tests.engine.toy import toy_run
from tween.core import TweenError
from tween.engine import train
from tween.evaluate import representation as page

ABOUT = {name: f"its {name}" for name in page.ABOUT}


@pytest.fixture(scope="module")
def space():
    """Three classes of a codebook of four, their features and pictures of one colour each."""
    g = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 20 + [1] * 12 + [3] * 5)
    features = torch.eye(4)[labels] * 9 + torch.randn(37, 4, generator=g)
    pictures = torch.eye(4)[labels][:, 1:, None, None].expand(-1, -1, 6, 8).contiguous()
    return features, labels, pictures


@pytest.fixture(scope="module")
def found(space):
    features, labels, _ = space
    return page.study(features, labels, 4, conditions={"keyframes": torch.eye(4)[labels]})


def test_everything_the_plan_asks_for_is_measured(found):
    told = page.numbers(found)
    assert told["occupancy/used"] == 3
    assert told["retrieval/purity"] > 0.95
    assert told["retrieval/keyframes_agreement"] > 0.8 > told["retrieval/keyframes_chance"]
    assert told["separation/ratio"] < 0.5 < told["separation/silhouette"]
    measured = {
        "occupancy/near_empty",
        "occupancy/entropy",
        "occupancy/dominance",
        "separation/davies_bouldin",
    }
    measured |= {
        "kernel/pos_p50",
        "kernel/pos_neighbours@0.05",
        "kernel/mass_ratio@0.2",
        "kernel/neg_mass@0.2",
    }
    assert measured <= set(told)


def test_classes_too_small_for_a_kernel_are_measured_without():
    assert page.study(torch.randn(12, 3), torch.arange(12) // 2, 6).kernel is None


def test_dots_have_the_colour_of_their_class_and_families_a_legend(space):
    features, labels, _ = space
    drawn = page.planes(features, labels, families=["pans", "zooms"] * 18 + ["pans"])
    assert list(drawn) == ["tsne_class", "tsne_family"]
    shown = {tuple(c) for c in (255 * drawn["tsne_class"]).round().int().flatten(1).T.tolist()}
    assert shown == {(255, 255, 255)} | {page.colour(i, 4) for i in (0, 1, 3)}
    assert drawn["tsne_family"].shape[1] == page.SIDE + 2 * page.LINE


def test_exemplars_stand_in_rows_of_their_class_the_fullest_and_nearest_first(space):
    features, labels, pictures = space
    grid = page.exemplars(pictures, features, labels, rows=3, columns=8)
    assert grid.shape == (3, 18, 64)
    assert grid[:, :6].eq(0).all()  # class 0 is black
    assert grid[0, 6:12].eq(1).all()  # class 1 is red
    assert grid[2, 12:, :40].eq(1).all()
    assert grid[:, 12:, 40:].eq(1).all()  # five samples, then white
    nearest = (features[:20] - features[:20].mean(0)).norm(dim=1).argmin()
    numbered = torch.arange(37.0)[:, None, None, None].expand(-1, 3, 2, 2) / 37
    first = page.exemplars(numbered, features, labels, rows=1, columns=1)
    assert first[0, 0, 0] == pytest.approx(int(nearest) / 37)
    clips = pictures[:, None].expand(-1, 3, -1, -1, -1)
    assert page.exemplars(clips, features, labels, rows=1, columns=2).shape == (3, 6, 48)
    with pytest.raises(TweenError, match="a picture a sample, 37 of"):
        page.exemplars(pictures[:5], features, labels)


def test_the_report_of_a_run_takes_the_page_up_once_and_keeps_its_decision(space, found, tmp_path):
    grid = page.exemplars(space[2], *space[:2])
    run = toy_run(tmp_path)
    page.write(run.folder, {"codebook": found}, ABOUT | {"seed": 0}, {"exemplars": grid})
    train(run)
    text = (run.folder / "report.md").read_text()
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[-2:] == ["## Representation", "## Decision"]
    assert "4 classes stay" in text
    assert "| retrieval/purity |" in text
    assert all(f"| {name} | its {name} |" in text for name in page.ABOUT)
    (run.folder / "report.md").write_text(text.replace("Not decided yet", "Keep. Not decided yet"))
    page.write(run.folder, {"another": found}, ABOUT)
    again = (run.folder / "report.md").read_text()
    assert again.count("## Representation") == 1
    assert "### another" in again
    assert "### codebook" not in again
    assert "Keep. Not decided" in again
    assert Image.open(run.folder / "exemplars.png").size == (64, 18)


def test_a_page_that_leaves_something_out_is_refused(found, tmp_path):
    about = {k: v for k, v in ABOUT.items() if k not in ("frozen", "temperatures")}
    with pytest.raises(TweenError, match="but frozen, temperatures is missing"):
        page.write(tmp_path, {"a": found}, about)
