"""The library on pictures of every kind and on files."""

import threading
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tween
from tests.infer import videos
from tests.infer.fakes import Linear
from tween import TweenError, api


def ramp(shift: int, channels: int = 3) -> np.ndarray:
    x = (np.arange(30)[None, :, None] * 5 + 10 * shift + np.arange(20)[:, None, None]) % 256
    return np.repeat(x, channels, 2).astype(np.uint8)


A, B = ramp(0), ramp(4)
MIDDLE = ((A.astype(float) + B) / 2).round().astype(np.uint8)


def test_uint8_arrays():
    quarter, half = tween.between(A, B, t=[0.25, 0.5], model="blend")
    assert (quarter.dtype, quarter.shape) == (np.uint8, A.shape)
    assert np.abs(half.astype(int) - MIDDLE).max() <= 1
    assert np.abs(quarter.astype(float) - (0.75 * A + 0.25 * B)).max() <= 0.51


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint16])
def test_other_arrays(dtype):
    top = 65535 if dtype is np.uint16 else 1
    a, b = ((x / 255 * top).astype(dtype) for x in (A, B))
    made = tween.between(a, b, model="blend")
    assert (made.dtype, made.shape) == (dtype, a.shape)
    assert np.allclose(made.astype(float), (a.astype(float) + b.astype(float)) / 2, atol=1e-3 * top)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(channels):
    made = tween.between(ramp(0, channels), ramp(4, channels), model="blend")
    assert made.shape == (20, 30, channels)
    assert np.abs(made.astype(int) - MIDDLE[..., :1]).max() <= 1


def test_grey_arrays_without_a_channel():
    assert tween.between(A[..., 0], B[..., 0], model="blend").shape == (20, 30)


@pytest.mark.parametrize("shape", [(3, 20, 30), (2, 3, 20, 30), (1, 4, 20, 30)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8])
def test_tensors(shape, dtype):
    g = torch.Generator().manual_seed(0)
    a, b = (torch.rand(shape, generator=g) for _ in range(2))
    if dtype == torch.uint8:
        a, b = a * 255, b * 255
    a, b = a.to(dtype), b.to(dtype)
    made = tween.between(a, b, [Fraction(1, 2)], model="blend")[0]
    assert (made.dtype, made.shape) == (dtype, a.shape)
    assert torch.allclose(
        made.float(), (a.float() + b.float()) / 2, atol=0.6 if dtype == torch.uint8 else 2e-3
    )


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_pil_images(mode):
    made = tween.between(Image.fromarray(A).convert(mode), Image.fromarray(B).convert(mode), model="blend")
    assert isinstance(made, Image.Image)
    assert (made.mode, made.size) == (mode, (30, 20))
    assert np.abs(np.asarray(made.convert("RGB")).astype(int) - MIDDLE).max() <= 2


def test_pil_images_of_16_bits_and_transparent_ones():
    deep = [Image.fromarray(x[..., 0].astype(np.uint16) * 257) for x in (A, B)]
    made = tween.between(*deep, model="blend")
    assert made.mode == "I;16"
    assert np.abs(np.asarray(made) / 257 - MIDDLE[..., 0]).max() <= 1
    clear = [Image.fromarray(x[..., 0]).convert("LA") for x in (A, B)]
    assert tween.between(*clear, model="blend").mode == "RGBA"


def test_the_ends_are_the_pictures_themselves():
    zero, one = tween.between(A, B, [0, 1], model="blend")
    assert zero is A
    assert one is B


def test_a_moving_picture_lands_in_the_middle():
    """The default model moves things; a blend would leave two ghosts."""
    g = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 20, generator=g), (192, 320), mode="bicubic")[
        0
    ]
    a, truth, b = (wide.clamp(0, 1)[:, :128, x : x + 256] for x in (0, 6, 12))
    inside = (..., slice(16, -16), slice(16, -16))
    error = {
        name: (tween.between(a, b, model=name) - truth)[inside].square().mean() for name in (None, "blend")
    }
    assert error[None] < 0.2 * error["blend"]


@pytest.mark.parametrize(
    ("a", "b", "t", "word"),
    [
        (A, B[:10], 0.5, "one size"),
        (A, torch.from_numpy(B), 0.5, "one kind"),
        (A, B, 1.5, "0, 1"),
        (A, B, "x", "number"),
        (A.astype(np.int64), B.astype(np.int64), 0.5, "uint8"),
        (A.astype(float), B.astype(float), 0.5, "divide them"),
        (torch.full((3, 4, 4), 255.0), torch.full((3, 4, 4), 255.0), 0.5, "divide them"),
        (Image.new("F", (4, 4)), Image.new("F", (4, 4)), 0.5, "mode F"),
        (A[..., :2], B[..., :2], 0.5, "channels"),
        ("a.png", "b.png", 0.5, "PIL"),
        (torch.zeros(20, 30), torch.zeros(20, 30), 0.5, "c h w"),
        (A[:0], B[:0], 0.5, "with pixels"),
        (torch.zeros(0, 3, 20, 30), torch.zeros(0, 3, 20, 30), 0.5, "with pixels"),
    ],
)
def test_pictures_that_do_not_fit(a, b, t, word):
    with pytest.raises(TweenError, match=word):
        tween.between(a, b, t, model="blend")


@pytest.mark.parametrize("several", [np.array([0.25, 0.5]), torch.tensor([0.25, 0.5]), (0.25, "1/2")])
def test_times_of_every_kind(several):
    quarter, half = tween.between(A, B, several, model="blend")
    assert (quarter == tween.between(A, B, np.float32(0.25), model="blend")).all()
    assert (half == tween.between(A, B, torch.tensor(0.5), model="blend")).all()


@given(st.fractions(0, 1, max_denominator=50), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_any_time_and_size(t, h, w):
    made = tween.between(torch.zeros(3, h, w), torch.ones(3, h, w), t, model="blend")
    assert torch.allclose(made, torch.full((3, h, w), float(t)), atol=1e-6)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "in.mp4"
    return videos.write(path, [Fraction(i, 25) for i in range(11)], rate=25)


def test_frames(source):
    found = list(tween.frames(source, fps=60, model="blend"))
    assert [time for time, _ in found] == [Fraction(k, 60) for k in range(27)]
    assert all(frame.shape == (3, 48, 64) and frame.dtype == torch.float32 for _, frame in found)


@pytest.mark.parametrize(
    ("wish", "count", "step"),
    [
        ({"factor": 2}, 22, Fraction(1, 50)),
        ({}, 22, Fraction(1, 50)),
        ({"slowmo": 4}, 44, Fraction(1, 25)),
        ({"slowmo": 2, "fps": "50"}, 44, Fraction(1, 50)),
        ({"fps": 50, "start": 0.2, "stop": 0.4}, 10, Fraction(1, 50)),
    ],
)
def test_wishes(source, wish, count, step):
    times = [time for time, _ in tween.frames(source, model=Linear(), **wish)]
    assert times == [times[0] + step * k for k in range(count)]


def test_dropping_the_iterator_stops_the_decoder(source):
    threads = threading.active_count()
    frames = tween.frames(source, fps=60, model="blend")
    next(frames)
    assert threading.active_count() > threads
    frames.close()
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "wish",
    [{"fps": 0}, {"fps": -1}, {"fps": 24}, {"factor": 0.5}, {"fps": 60, "factor": 2}, {"device": "tpu"}],
)
def test_wishes_that_cannot_be_met(source, wish):
    with pytest.raises(TweenError):
        tween.frames(source, model="blend", **wish)


def test_the_ladder_when_memory_runs_out():
    filler, fallbacks = api.open_model("blend", device="cpu")
    assert filler.tiles(720, 1280)
    assert [sentence for sentence, _ in fallbacks] == ["frames are now cut into small tiles"]
    assert fallbacks[0][1]().past == 1
