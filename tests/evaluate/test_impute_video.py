"""Sparse keyframes measured: what is asked of fillers, what is compared, and the command from end to end."""

import json

import pytest
import torch

from tests.data.made import clip
from tests.models.impute.toy import encoder
from tween.cli.main import main
from tween.core import TweenError
from tween.engine import train
from tween.evaluate.impute_video import apart, gaps_table, markdown, measured, missing, pieces, shown
from tween.metrics import psnr
from tween.models.impute.config import EncoderConfig
from tween.models.impute.fills import linear, nearest
from tween.models.impute.fills_filler import FillFiller
from tween.recipes.impute import classifier

FADE = torch.linspace(0, 250, 13).round().byte()[:, None, None, None].expand(-1, 3, 64, 128).contiguous()


def noisy(seed):
    g = torch.Generator().manual_seed(seed)
    return (FADE.float() * 0.7 + 60 * torch.rand(13, 3, 64, 128, generator=g)).byte()


def test_a_gap_is_shown_with_its_outer_keyframes():
    assert shown(FADE, 2, 4)[:, 0, 0, 0].tolist() == FADE[[2, 4, 5, 6, 8], 0, 0, 0].tolist()


@pytest.mark.parametrize("sight", [1, 2])
def test_a_fade_is_filled_by_fading(sight):
    truth = shown(FADE, 4, 4).float() / 255
    made = missing(FillFiller(linear, sight=sight), truth, 4)
    assert made.shape == (3, 3, 64, 128)
    assert (made - truth[2:-2]).abs().max() < 0.005


def test_what_is_true_is_measured_as_true_and_a_still_picture_flickers():
    truth, judge = shown(FADE, 4, 4)[1:-1].float() / 255, encoder().eval()
    exact = measured(truth[1:-1], truth, judge)
    assert exact["perceptual"] == pytest.approx(0, abs=1e-6)
    assert exact["flicker"] == 0
    held = measured(truth[:1].expand(3, -1, -1, -1), truth, judge)
    steps = (255 * truth[:, 0, 0, 0]).diff()
    jump = [s.abs() for s in steps[:3]] + [255 * (truth[-1, 0, 0, 0] - truth[0, 0, 0, 0]) - steps[3]]
    assert held["flicker"] == pytest.approx(float(sum(jump) / 4), abs=0.01)
    assert held["psnr"] == pytest.approx(float(psnr(truth[:1].expand(3, -1, -1, -1), truth[1:-1]).mean()))


def test_pictures_that_differ_more_lie_farther_apart():
    a, judge = torch.rand(2, 3, 32, 32), encoder().eval()
    near, far = (apart(judge, a, (a + s * torch.randn_like(a)).clamp(0, 1)) for s in (0.02, 0.3))
    assert near.shape == (2,)
    assert (near < far).all()
    assert pieces(judge, torch.rand(5, 3, 70, 140)).shape == (10, 16)


def test_the_table_compares_shot_by_shot_and_tells_each_gap():
    fillers = {"fast": FillFiller(nearest), "better": FillFiller(linear)}
    told = []
    table = gaps_table(
        fillers, [noisy(1), noisy(2)], (2, 4), encoder().eval(), seen=lambda gap, found: told.append(gap)
    )
    assert told == list(table) == [2, 4]
    for rows in table.values():
        assert rows["fast"]["gain"]["mean"] == 0
        difference = rows["better"]["psnr"]["mean"] - rows["fast"]["psnr"]["mean"]
        assert rows["better"]["gain"]["mean"] == pytest.approx(difference)
        assert rows["better"]["gain"]["mean"] > 0
        assert rows["better"]["shots"] == len(rows["better"]["each"]) == 2
        assert sum(rows["better"]["each"]) / 2 == pytest.approx(difference)
    assert len(markdown(table).splitlines()) == 6
    with pytest.raises(TweenError, match="and fast"):
        gaps_table({"better": FillFiller(linear)}, [noisy(1)], (2,), encoder())


def test_the_command(tmp_path, capsys, monkeypatch):
    """A judge, a refiner of two steps, and its table, on shots that were held out."""
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "data/in/a.avi", n=30)
    (tmp_path / "data/shots.csv").write_text(
        "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
        + "".join(f"in/a.avi,{i},{i},{i + 13},2.0\n" for i in range(4))
    )
    config = EncoderConfig(width=8, blocks=(1, 1), groups=4, classes=2)
    judge = classifier(
        lambda i: (torch.rand(4, 3, 16, 16), torch.arange(4) % 2), config, device="cpu", steps=1, batch_size=4
    )
    train(judge)
    where = ["--packed", str(tmp_path / "packed")]
    flags = [
        "--dataset",
        "gaps",
        "--data-path",
        str(tmp_path / "data"),
        *where,
        "--gaps",
        "2",
        "4",
        "--cuts",
        "16",
    ]
    flags += [
        "--image-size",
        "16",
        "--encoder-steps",
        "1",
        "--encoder-width",
        "8",
        "--codes",
        "2",
        "--width",
        "32",
    ]
    flags += [
        "--layers",
        "1",
        "--steps",
        "2",
        "--device",
        "cpu",
        "--no-amp",
        "--hold-out",
        "2",
        "--interp-mode",
        "linear",
    ]
    dealt = [
        "--n-classes-step",
        "2",
        "--n-gen-per-class",
        "2",
        "--n-pos-per-class",
        "2",
        "--drift-n-unc",
        "0",
    ]
    assert main(["train", "impute", *flags, *dealt]) == 0
    wish = [
        "--data",
        str(tmp_path / "data"),
        *where,
        "--judge",
        "runs/encoder/last.safetensors",
        "--hold-out",
        "2",
    ]
    wish += ["--checkpoint", "impute", "--gaps", "2", "4", "--size", "64", "64", "--json", "out/found.json"]
    assert main(["eval", "impute", *wish, "--beside", "blend", "fast", "--device", "cpu"]) == 0
    found = json.loads((tmp_path / "out/found.json").read_text())
    assert list(found["gaps"]) == ["2", "4"]
    assert list(found["gaps"]["4"]) == ["blend", "fast", "impute"]
    assert found["gaps"]["4"]["impute"]["shots"] == 2
    assert "| 4 | impute |" in capsys.readouterr().out
    assert "k-means" in (tmp_path / "runs/impute/report.md").read_text()
    wish[wish.index("impute")] = "nothing"
    assert main(["eval", "impute", *wish]) == 2
    assert "run or a checkpoint of a refiner" in capsys.readouterr().err
