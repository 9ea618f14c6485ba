"""The encoder without classes: what is blank, what is learned, windows of clips."""

import pytest
import torch

from tween.core import TweenError
from tween.engine import Optim, Run, train
from tween.models.impute.config import EncoderConfig
from tween.models.impute.mae import LatentMae, MaeTask, blanks, windows

SMALL = EncoderConfig(channels=4, width=8, blocks=(1, 1), groups=4, classes=2)


def test_squares_are_blank_by_their_share():
    torch.manual_seed(0)
    blank = blanks(torch.zeros(50, 4, 9, 8), 2, 0.3)
    assert blank.shape == (50, 1, 9, 8)
    assert float(blank.float().mean()) == pytest.approx(0.3, abs=0.03)
    pooled = blank[:, :, :8].float().unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    assert set(pooled.unique().tolist()) == {0.0, 1.0}


def test_only_what_was_blank_is_learned():
    task = MaeTask(LatentMae(SMALL), share=1.0)
    x = torch.rand(2, 4, 8, 8)
    torch.manual_seed(0)
    with torch.no_grad():
        error = (task.mae(torch.zeros_like(x)) - x).square().mean()
        assert task.loss("encoder", x, 0)["masked"] == pytest.approx(float(error), rel=1e-5)
        assert MaeTask(task.mae, share=0.0).loss("encoder", x, 0)["masked"] == 0


def test_classes_come_late_and_gently():
    torch.manual_seed(0)
    task = MaeTask(LatentMae(SMALL), classes=0.1, since=10, ramp=100)
    batch = torch.rand(4, 4, 8, 8), torch.tensor([0, 1, 0, 1])
    with torch.no_grad():
        at = {
            step: task.loss("encoder", batch, step).get("class", torch.zeros(()))
            for step in (5, 10, 60, 110, 500)
        }
    assert at[5] == at[10] == 0
    assert float(at[110] / at[60]) == pytest.approx(2.0, rel=1e-4)
    assert at[110] == at[500]


def test_it_learns_what_is_behind_the_blanks(tmp_path):
    torch.manual_seed(0)
    task = MaeTask(LatentMae(SMALL))
    level = torch.rand(32, 4, 1, 1, generator=torch.Generator().manual_seed(1)) * 2 - 1
    run = Run(
        name="mae",
        task=task,
        batch=lambda index: level.expand(-1, -1, 8, 8).clone(),
        batch_size=32,
        steps=150,
        optim=Optim(lr=1e-2, warmup=5),
        runs=tmp_path,
    )

    def error():
        with torch.no_grad():
            return float(task.loss("encoder", run.batch(0), 0)["masked"])

    before = error()
    train(run)
    assert error() < 0.3 * before


def test_windows_cover_a_clip_in_order():
    clip = torch.arange(7.0)[None, :, None, None, None].expand(2, 7, 3, 1, 1)
    seen = windows(clip, 3)
    assert seen.shape == (2, 3, 9, 1, 1)
    assert seen[0, :, ::3, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert windows(clip[:, :6], 3)[0, :, ::3, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(TweenError, match="sees 8 frames"):
        windows(clip, 8)
