"""Triplets with flow files: read as OpenCV writes them, cropped and turned together with the frames, mistakes told."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tween.core import TweenError
from tween.data.flow_files import read_flo, train, write_flo
from tween.ops.warp import backward_warp


def scene(place, h=48, w=64, flow=(3, 1)):
    """Three frames of a texture that moves by `flow` px a frame, and its flow in files."""
    place.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (h // 4 + 8, w // 4 + 8, 3), np.uint8)
    wide = cv2.resize(noise, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    for i in range(3):
        x, y = 8 - flow[0] * (i - 1), 8 - flow[1] * (i - 1)
        Image.fromarray(wide[y : y + h, x : x + w]).save(place / f"im{i + 1}.png")
    forth = torch.tensor(flow, dtype=torch.float32).view(2, 1, 1).expand(2, h, w)
    write_flo(place / "flow_t0.flo", -forth)
    write_flo(place / "flow_t1.flo", forth)


@settings(max_examples=20, deadline=None)
@given(h=st.integers(1, 9), w=st.integers(1, 9))
def test_what_is_written_is_read_here_and_by_opencv(tmp_path_factory, h, w):
    path = tmp_path_factory.mktemp("flo") / "a.flo"
    flow = torch.randn(2, h, w)
    write_flo(path, flow)
    assert torch.equal(read_flo(path), flow)
    assert np.array_equal(cv2.readOpticalFlow(str(path)), flow.permute(1, 2, 0).numpy())
    cv2.writeOpticalFlow(str(path), flow.permute(1, 2, 0).contiguous().numpy())
    assert torch.equal(read_flo(path), flow)


@pytest.mark.parametrize("seed", range(8))
def test_flow_stays_true_of_the_frames_whatever_augmentation_does(tmp_path, seed):
    scene(tmp_path / "a" / "b")
    source = train(tmp_path)
    assert (len(source), source.taught()) == (1, 1)
    sample = source.draw(0, (32, 32), torch.Generator().manual_seed(seed))
    frames = sample.frames.float() / 255
    for k, flow in ((0, sample.flow[:2]), (2, sample.flow[2:])):
        back = backward_warp(frames[k][None], flow[None])[0]
        inner = (..., slice(4, -4), slice(4, -4))
        assert (back - frames[1])[inner].abs().mean() < 0.01
        assert (frames[k] - frames[1])[inner].abs().mean() > 0.03


def test_scenes_without_flow_are_read_without(tmp_path):
    scene(tmp_path / "a")
    for name in ("flow_t0.flo", "flow_t1.flo"):
        (tmp_path / "a" / name).unlink()
    assert train(tmp_path).taught() == 0
    assert train(tmp_path).draw(0, (32, 32), torch.Generator().manual_seed(0)).flow is None


def test_mistakes_are_told(tmp_path):
    scene(tmp_path / "a")
    draw = train(tmp_path).draw
    g = torch.Generator().manual_seed(0)
    path = tmp_path / "a" / "flow_t1.flo"
    whole = path.read_bytes()
    for data, said in ((whole[:-1], "vectors"), (b"nonsense" * 4, "begin like one"), (b"", "begin like one")):
        path.write_bytes(data)
        with pytest.raises(TweenError, match=said):
            draw(0, (32, 32), g)
    write_flo(path, torch.zeros(2, 8, 8))
    with pytest.raises(TweenError, match="64x48"):
        draw(0, (32, 32), g)
    path.unlink()
    with pytest.raises(TweenError, match="or neither"):
        draw(0, (32, 32), g)
    with pytest.raises(TweenError, match="im1, im2 and im3"):
        train(tmp_path / "nowhere")
