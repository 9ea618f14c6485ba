"""Triples of real clips: inside one shot, at their exact time, in both directions of time."""

import numpy as np
import pytest
import torch

from tween.core import TweenError
from tween.data.clips import (
    Shot,
    Triples,
    Windows,
    clip_triples,
    draw_frames,
    draw_positions,
    read_shots,
    tint,
    uniform,
)
from tween.data.store import FrameStore

CPU = torch.device("cpu")
SHOTS = [
    Shot(file="a", start=0, count=10, flow=0.1),
    Shot(file="a", start=10, count=3, flow=8.0),
    Shot(file="b", start=0, count=30, flow=4.0),
    Shot(file="b", start=30, count=2, flow=4.0),  # too short for a triple
]
FIRST = [0, 10, 13, 43]
OWNER = torch.tensor([0] * 10 + [1] * 3 + [2] * 30 + [3] * 2)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def drawn():
    windows = Windows.build(SHOTS, FIRST, pixels=24.0, device=CPU)
    return draw_frames(windows, 20_000, rng())


def test_a_window_never_crosses_a_shot(drawn):
    owner = OWNER[drawn[0]]
    assert (owner == owner[:, :1]).all()
    assert set(owner[:, 0].tolist()) == {0, 1, 2}


def test_every_frame_of_a_shot_is_used(drawn):
    assert set(drawn[0].flatten().tolist()) == set(range(43))


def test_t_is_exact_and_inside(drawn):
    first, middle, last = drawn[0].double().T
    torch.testing.assert_close(drawn[1].double(), (middle - first) / (last - first), atol=1e-7, rtol=0)
    assert ((drawn[1] > 0) & (drawn[1] < 1)).all()


def test_time_runs_both_ways(drawn):
    backwards = (drawn[0][:, 0] > drawn[0][:, 2]).float().mean()
    assert 0.48 < backwards < 0.52
    free = drawn[1][drawn[1] != 0.5]
    assert 0.48 < (free < 0.5).float().mean() < 0.52  # reversal takes t to 1 - t


def test_half_of_the_triples_or_more_are_in_the_middle(drawn):
    assert 0.5 < (drawn[1] == 0.5).float().mean() < 0.85


def test_halfway_is_the_middle_alone():
    windows = Windows.build(SHOTS, FIRST, pixels=24.0, device=CPU)
    frame, t = draw_frames(windows, 500, rng(), halfway=True)
    assert (t == 0.5).all()
    assert torch.equal(frame[:, 1] * 2, frame[:, 0] + frame[:, 2])
    assert len((frame[:, 2] - frame[:, 0]).unique()) > 2  # at more than one distance, both ways


def test_the_reach_follows_the_motion(drawn):
    owner, span = OWNER[drawn[0][:, 0]], (drawn[0][:, 0] - drawn[0][:, 2]).abs()
    assert [span[owner == shot].max().item() for shot in range(3)] == [9, 2, 6]
    assert span.min() == 2


def test_moving_shots_are_drawn_more(drawn):
    owner = OWNER[drawn[0][:, 0]]
    weight = torch.tensor([10 * 0.3**0.5, 3 * 6.0**0.5, 30 * 4.0**0.5])
    found = torch.stack([(owner == shot).float().mean() for shot in range(3)])
    torch.testing.assert_close(found, weight / weight.sum(), atol=0.015, rtol=0)


def test_no_shot_long_enough():
    with pytest.raises(TweenError, match="three frames"):
        Windows.build(SHOTS[3:], [43], pixels=24.0, device=CPU)


def still_store(n=45, h=40, w=64):
    """Frame i is grey level 5 i."""
    clip = np.broadcast_to((5 * np.arange(n, dtype=np.uint8))[:, None, None, None], (n, h, w, 3))
    return FrameStore.build([clip], CPU)


def test_positions_keep_to_the_frame_and_share_the_zoom():
    store, frame = still_store(), torch.zeros(500, dtype=torch.long)
    position, zoom = draw_positions(store, frame, (16, 24), rng())
    assert position.shape == (500, 16, 24, 2)
    assert 0.4 < zoom.min() < 0.55 < 1.1 < zoom.max() < 1.21
    inside = (position >= -1) & (position <= torch.tensor([64.0, 40.0]))
    assert inside.all(-1).float().mean() > 0.97  # a tilt may leave it by a little
    step = (position[:, 0, 1] - position[:, 0, 0]).norm(dim=-1)
    torch.testing.assert_close(step, 1 / zoom, atol=1e-4, rtol=1e-4)
    mirrored = (position[:, 0, 1, 0] < position[:, 0, 0, 0]).float().mean()
    assert 0.4 < mirrored < 0.6


def test_a_crop_larger_than_the_frame_is_enlarged():
    position, zoom = draw_positions(still_store(), torch.zeros(50, dtype=torch.long), (80, 128), rng())
    assert (zoom >= 1.8 - 1e-5).all()
    assert position.isfinite().all()


def test_a_batch(drawn):
    store = still_store()
    windows = Windows.build(SHOTS, FIRST, pixels=24.0, device=CPU)
    batch = clip_triples(store, windows, 6, (16, 24), rng(3))
    assert batch.frames.shape == (6, 3, 3, 16, 24)
    assert batch.flow.shape == batch.between.shape == (6, 4, 16, 24)
    assert not batch.known.any()
    levels = batch.frames.mean((2, 3, 4))
    assert batch.frames.std((-1, -2)).max() < 1e-5  # still frames stay flat, whatever the crop
    order = levels.diff(dim=1)
    assert ((order > 0).all(1) | (order < 0).all(1)).all()


def test_a_batch_is_a_function_of_its_seed():
    store = still_store()
    windows = Windows.build(SHOTS, FIRST, pixels=24.0, device=CPU)
    one, same, other = (clip_triples(store, windows, 4, (16, 24), rng(s)) for s in (1, 1, 2))
    assert torch.equal(one.frames, same.frames)
    assert not torch.equal(one.frames, other.frames)


def test_batches_join():
    store = still_store()
    windows = Windows.build(SHOTS, FIRST, pixels=24.0, device=CPU)
    parts = [clip_triples(store, windows, n, (16, 24), rng(n)) for n in (2, 3)]
    whole = Triples.cat(parts)
    assert torch.equal(whole.frames[2:], parts[1].frames)
    assert whole.t.shape == whole.known.shape == (5,)


def test_a_tint_is_the_same_for_all_frames_of_a_sample():
    frame = torch.rand(30, 1, 3, 4, 5, generator=rng()).expand(-1, 3, -1, -1, -1)
    out = tint(frame, rng())
    torch.testing.assert_close(out[:, 0], out[:, 2])
    assert 0 <= out.min() <= out.max() <= 1
    assert (out[:, 0] - frame[:, 0]).abs().mean() > 0.02


def test_uniform():
    values = uniform(10_000, -2.0, 6.0, rng())
    assert -2 <= values.min() < -1.98 < 5.98 < values.max() < 6
    assert abs(values.mean() - 2) < 0.1


def test_shots_are_read(tmp_path):
    path = tmp_path / "shots.csv"
    path.write_text("file,shot,start_frame,end_frame_excl,mean_flow_px\na.mp4,0,5,25,1.5\n")
    assert read_shots(path) == [Shot(file="a.mp4", start=5, count=20, flow=1.5)]


@pytest.mark.parametrize(
    "text", ["file,start_frame\na,0\n", "file,start_frame,end_frame_excl,mean_flow_px\na,x,2,1\n", None]
)
def test_shots_that_cannot_be_read(tmp_path, text):
    path = tmp_path / "shots.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TweenError, match="CSV of shots"):
        read_shots(path)


def test_the_real_shots(shared):
    shots = read_shots(shared / "train" / "shots.csv")
    assert len(shots) == 192
    assert min(shot.count for shot in shots) >= 3
