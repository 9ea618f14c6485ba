"""Which latent is which frames: the table of the plan, and what holds for every size of block."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.stream.toy import MODES, actions
from tween.core import TweenError
from tween.models.stream.actions import heard_by, hold, join, read
from tween.models.stream.timeline import (
    block_frames,
    block_latents,
    frames_of,
    heard,
    latents_of,
    seen,
    shown,
)

sizes = st.integers(1, 10)


@pytest.mark.parametrize(
    ("block", "first", "end"), [(0, 0, 9), (1, 9, 21), (5, 57, 69), (10, 117, 129), (49, 585, 597)]
)
def test_blocks_of_three(block, first, end):
    assert block_frames(block) == range(first, end)


def test_150_latents_are_597_frames():
    assert frames_of(150) == 597
    assert sum(len(block_frames(b)) for b in range(50)) == 597
    assert sum(len(block_frames(b)) for b in range(10)) == 117


@given(st.integers(1, 500), sizes)
def test_frames_are_shown_once_and_in_order(n, size):
    assert [f for latent in range(n) for f in shown(latent)] == list(range(frames_of(n)))
    blocks = [f for b in range(n) for f in block_frames(b, size)]
    assert blocks == list(range(frames_of(n * size)))
    assert latents_of(frames_of(n)) == n


@given(st.integers(0, 300), sizes)
def test_a_block_shows_what_its_latents_show(block, size):
    assert list(block_frames(block, size)) == [
        f for latent in block_latents(block, size) for f in shown(latent)
    ]


@given(st.integers(0, 200), sizes, st.integers(0, 9), st.integers(0, 9))
def test_what_is_seen_is_the_window(block, size, more, sink):
    window = size + sink + more
    visible = seen(block, size=size, window=window, sink=sink)
    end = (block + 1) * size
    assert visible == sorted(set(visible))
    assert len(visible) == min(end, window)
    assert set(block_latents(block, size)) | set(range(min(sink, end))) <= set(visible)


@pytest.mark.parametrize("frames", [0, 2, 4, 12])
def test_frames_that_are_not_whole_latents_are_refused(frames):
    with pytest.raises(TweenError, match=f"1, 5, 9, 13, ... frames, but got {frames}"):
        latents_of(frames)


@given(st.integers(0, 400))
def test_a_latent_hears_three_latents_of_actions_up_to_its_last_frame(latent):
    frames = heard(latent)
    assert len(frames) == 12
    assert frames[-1] == max(0, shown(latent)[-1] - 1)
    assert frames == [max(0, k) for k in range(4 * latent - 12, 4 * latent)]


@pytest.mark.parametrize("first", [0, 9, 21])
def test_hearing_from_a_part_is_hearing_from_all(first):
    act = actions(18)
    latents = range(9, 12)
    want = heard_by(latents, act)
    assert want.keys.shape == (2, 3, 12, 4)
    assert want.mouse.shape == (2, 3, 12, 2)
    for i, latent in enumerate(latents):
        assert torch.equal(want.keys[:, i], act.keys[:, heard(latent)])
        assert torch.equal(want.mouse[:, i], act.mouse[:, heard(latent)])
    part = heard_by(latents, act[first:], first)
    assert torch.equal(part.keys, want.keys)
    assert torch.equal(part.mouse, want.mouse)


def test_too_few_actions_are_refused():
    with pytest.raises(TweenError, match="hear 8 actions from frame 0 on, but got 7"):
        heard_by(range(3), actions(3)[:7])


def test_letters():
    wl = read("wl", MODES["universal"])
    assert wl.keys.tolist() == [[[1, 0, 0, 0]]]
    assert wl.mouse[0, 0].tolist() == pytest.approx([0, 0.1])
    assert read("I", MODES["universal"]).mouse[0, 0].tolist() == pytest.approx([0.1, 0])
    assert read("JJ", MODES["universal"]).mouse[0, 0].tolist() == pytest.approx([0, -0.2])
    assert read("Q", MODES["universal"]).keys.sum() == 0
    assert read("A", MODES["gta_drive"]).mouse[0, 0].tolist() == pytest.approx([0, -0.1])
    assert read("Z", MODES["templerun"]).keys[0, 0].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert read("", MODES["templerun"]).keys[0, 0].tolist() == [1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("mode", MODES)
def test_the_bench_of_a_mode_presses_every_key(mode):
    pressed = sum(read(letters, MODES[mode]).keys for letters in MODES[mode].bench)
    assert pressed.min() > 0


def test_unknown_letters_are_refused():
    with pytest.raises(TweenError, match="letters of ADQSW, but got 'L' in 'WL'"):
        read("WL", MODES["gta_drive"])


def test_held_and_joined():
    act = join(hold(read("W", MODES["universal"]), 9), hold(read("L", MODES["universal"]), 12))
    assert act.frames == 21
    assert act.keys[0, :, 0].tolist() == [1.0] * 9 + [0.0] * 12
    assert act[9:].mouse[0, :, 1].tolist() == pytest.approx([0.1] * 12)
