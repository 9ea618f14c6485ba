"""The conversion path: it undoes itself, and it agrees with the standards; by numpy and by torch, as on a GPU."""

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.video import arrays, chroma
from tween.video.coded import Planes
from tween.video.colour import Colour, cosited, matrix
from tween.video.convert import decoded, encoded, from_rgb
from tween.video.planes import Layout, frame_of, planes_of

FORMATS = [
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv411p",
    "yuv410p",
    "yuv440p",
    "yuvj420p",
    "yuvj444p",
    "nv12",
    "nv16",
    "yuva420p",
    "yuva444p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p10le",
    "yuv422p12le",
    "yuv420p16le",
    "yuv444p16le",
    "yuva444p16le",
    "gray",
    "gray10le",
    "gray16le",
    "gbrp",
    "gbrp10le",
    "gbrap12le",
    "gbrp16le",
    "rgb24",
    "bgr24",
    "bgr0",
    "rgba",
    "bgra",
    "rgb48le",
    "rgb48be",
    "rgba64le",
]
MATRICES = [1, 4, 5, 6, 7, 8, 9]


def smooth(height, width, channels=3, seed=0):
    """Random soft colours well inside every gamut."""
    small = torch.rand(
        1, channels, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(seed)
    )
    return torch.nn.functional.interpolate(small * 0.5 + 0.25, (height, width), mode="bicubic")[0]


@pytest.fixture(params=["numpy", "torch"], autouse=True)
def kind(request, monkeypatch):
    """Every test goes both ways: CPU tensors are converted as those on a GPU are."""
    monkeypatch.setattr(arrays, "by_torch", lambda device: request.param == "torch")


def to_rgb(frame, colour):
    return Planes.of(frame, colour).rgb


def same_planes(a, b):
    return all(np.array_equal(x, y) for x, y in zip(planes_of(a)[1], planes_of(b)[1], strict=True))


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (2, 3)])
def test_planes_come_back_exactly(pix_fmt, size):
    colour = Colour()
    frame = from_rgb(smooth(*size, channels=4), pix_fmt, colour)
    assert (frame.height, frame.width, frame.format.name) == (*size, pix_fmt)
    assert same_planes(frame, from_rgb(to_rgb(frame, colour), pix_fmt, colour))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p12le"])
@pytest.mark.parametrize("code", MATRICES)
@pytest.mark.parametrize("limits", [1, 2])
@pytest.mark.parametrize("location", range(7))
def test_planes_come_back_for_every_tag(pix_fmt, code, limits, location):
    colour = Colour(matrix=code, range=limits, location=location)
    frame = from_rgb(smooth(35, 33), pix_fmt, colour)
    assert same_planes(frame, from_rgb(to_rgb(frame, colour), pix_fmt, colour))


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]), st.booleans(),
    st.booleans(), st.sampled_from([np.asarray, torch.from_numpy]), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_down_undoes_up_for_any_planes(height, width, step_y, step_x, cosited_y, cosited_x, array, seed):
    planes = np.random.default_rng(seed).standard_normal((2, -(-height // step_y), -(-width // step_x)))
    large = chroma.up(array(planes), height, width, cosited=(cosited_y, cosited_x))
    assert tuple(large.shape) == (2, height, width)
    back = chroma.down(large, *planes.shape[1:], cosited=(cosited_y, cosited_x))
    np.testing.assert_allclose(back, planes, atol=1e-12)


@pytest.mark.parametrize("kind", ["both"], indirect=True)
@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("tags", [(1, 1, 1), (6, 2, 2), (9, 1, 3), (8, 2, 4)])
def test_numpy_and_torch_agree(pix_fmt, tags):
    """To 1e-6 in what any codes mean, far outside the gamut too; and in the codes of any colours, but where the two
    fall on both sides of a half, which is the likelier the more codes there are."""
    layout = Layout.of(pix_fmt)
    colour = Colour(matrix=tags[0], range=tags[1], location=tags[2]).assumed(layout, 37)
    shapes = [plane.shape for plane in planes_of(from_rgb(smooth(37, 51, 4), pix_fmt, colour))[1]]
    g, full = np.random.default_rng(5), 2**layout.bits - 1
    planes = [
        g.integers(0, full + 1, shape).astype(np.uint8 if full < 256 else np.uint16) for shape in shapes
    ]
    one, two = decoded(planes, layout, colour), decoded([torch.from_numpy(p) for p in planes], layout, colour)
    assert isinstance(two, torch.Tensor)
    np.testing.assert_allclose(one, two.numpy(), atol=1e-6)
    rgb = g.random(one.shape, np.float32)
    for a, b in zip(
        encoded(rgb, layout, colour), encoded(torch.from_numpy(rgb), layout, colour), strict=True
    ):
        apart = np.abs(a.astype(int) - b.numpy().astype(int))
        assert apart.max() <= 1
        assert (apart > 0).mean() <= 1e-6 * full


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("height", [64, 131])
def test_some_rows_are_those_of_the_whole(pix_fmt, height):
    frame = from_rgb(smooth(height, 33, 4), pix_fmt, Colour())
    planes = Planes.of(frame, Colour())
    parts = [slice(row, row + 8) for row in range(0, height - 63, 64)]
    kept = np.concatenate([planes.rows()[:, part] for part in parts], 1)
    assert np.array_equal(planes.rows(parts), kept)


@pytest.mark.parametrize("is_cosited", [True, False])
def test_chroma_lies_where_the_siting_says(is_cosited):
    """A ramp in luma coordinates, sampled at the chroma sites, is the same ramp again once it is brought up."""
    sites = np.arange(20) * 2.0 + (0 if is_cosited else 0.5)
    up = chroma.up(np.tile(sites, (1, 1, 1)), 1, 40, cosited=(False, is_cosited))
    np.testing.assert_allclose(up[0, 0, 2:-2], np.arange(40)[2:-2], atol=1e-12)


def test_sitings_are_those_of_h273():
    assert [cosited(code) for code in (1, 2, 3, 4)] == [
        (False, True),
        (False, False),
        (True, True),
        (True, False),
    ]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p16le"])
@pytest.mark.parametrize("code", MATRICES)
@pytest.mark.parametrize("limits", [1, 2])
def test_a_flat_field_stays_flat(pix_fmt, code, limits):
    """Every flat colour inside the gamut comes back as the same code value: an error of 0, not only of 0.5."""
    layout = Layout.of(pix_fmt)
    colour = Colour(matrix=code, range=limits)
    for seed in range(8):
        rgb = torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(seed)).expand(3, 9, 13)
        frame = from_rgb(rgb * 0.9 + 0.05, pix_fmt, colour)
        planes = planes_of(frame)[1]
        assert all(plane.min() == plane.max() for plane in planes)
        again = to_rgb(frame, colour)
        assert float((again - again[:, :1, :1]).abs().max()) < 1e-5
        assert float((again - rgb * 0.9 - 0.05).abs().max()) < 0.0066 / 2 ** (layout.bits - 8) + 1e-6
        assert same_planes(frame, from_rgb(again, pix_fmt, colour))


def test_every_444_code_inside_the_gamut_is_kept():
    y, u, v = np.mgrid[16:236:5, 16:241:5, 16:241:5].reshape(3, 44, -1).astype(np.uint8)
    layout = Layout.of("yuv444p")
    frame = frame_of([y, u, v], y.shape[1], 44, layout)
    rgb = to_rgb(frame, Colour(matrix=1))
    inside = ((rgb > 1e-4) & (rgb < 1 - 1e-4)).all(0).numpy()
    back = planes_of(from_rgb(rgb, "yuv444p", Colour(matrix=1)))[1]
    assert inside.sum() > 20000
    assert all(np.array_equal(a[inside], b[inside]) for a, b in zip((y, u, v), back, strict=True))


@pytest.mark.parametrize(
    ("code", "yuv", "rgb"),
    [
        (1, (63, 102, 240), (1, 0, 0)),  # BT.709 100% red, 8 bits, limited
        (6, (81, 90, 240), (1, 0, 0)),  # BT.601
        (9, (74, 97, 240), (1, 0, 0)),  # BT.2020
        (1, (32, 240, 118), (0, 0, 1)),
        (6, (145, 54, 34), (0, 1, 0)),
        (1, (235, 128, 128), (1, 1, 1)),
        (1, (16, 128, 128), (0, 0, 0)),
    ],
)
def test_known_colour_bars(code, yuv, rgb):
    frame = frame_of([np.full((2, 2), v, np.uint8) for v in yuv], 2, 2, Layout.of("yuv444p"))
    found = to_rgb(frame, Colour(matrix=code, range=1))[:, 0, 0]
    assert float((found - torch.tensor(rgb)).abs().max()) < 0.006


@pytest.mark.parametrize("code", MATRICES)
def test_white_is_grey_in_every_matrix(code):
    np.testing.assert_allclose(matrix(code) @ np.ones(3), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.abs(matrix(code)[1:]).sum(1), [1, 1], atol=1e-12)


def test_what_is_assumed_of_a_silent_stream():
    layout = Layout.of("yuv420p")
    small, large = Colour().assumed(layout, 719), Colour().assumed(layout, 720)
    assert (small.matrix, large.matrix, small.range, small.location) == (6, 1, 1, 1)
    jpeg = Colour().assumed(Layout.of("yuvj420p"), 720)
    assert (jpeg.range, jpeg.location) == (2, 2)


def test_agrees_with_ffmpeg_where_ffmpeg_is_exact():
    """Without subsampling swscale's BT.601 differs by its rounding only."""
    frame = from_rgb(smooth(40, 56), "yuv444p", Colour(matrix=6))
    ours = to_rgb(frame, Colour(matrix=6)) * 255
    theirs = frame.reformat(format="rgb24", src_colorspace="ITU601", dst_color_range="JPEG").to_ndarray()
    assert np.abs(ours.numpy().transpose(1, 2, 0) - theirs).max() < 2.5


def test_ten_bits_are_more_than_eight():
    ramp = torch.linspace(0.4, 0.45, 256).expand(3, 4, 256)
    levels = [
        len(np.unique(planes_of(from_rgb(ramp, fmt, Colour()))[1][0])) for fmt in ("yuv420p", "yuv420p10le")
    ]
    assert levels[1] > 3 * levels[0]


def test_an_unknown_layout_still_reads():
    frame = from_rgb(smooth(16, 16), "rgb24", Colour()).reformat(format="rgb565le")
    assert float((to_rgb(frame, Colour())[:3] - smooth(16, 16)).abs().max()) < 0.1
    assert isinstance(frame, av.VideoFrame)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv410p", "yuv440p", "yuv420p10le", "gray"])
@pytest.mark.parametrize("location", [1, 2, 3])
def test_bands_leave_no_trace(pix_fmt, location, monkeypatch):
    """A picture converted in narrow bands is the picture converted whole, bit for bit."""
    colour, rgb = Colour(location=location), smooth(59, 34) * 1.4 - 0.2
    monkeypatch.setattr(chroma, "BAND", 2**30)
    whole = from_rgb(rgb, pix_fmt, colour)
    back = to_rgb(whole, colour)
    monkeypatch.setattr(chroma, "BAND", 1)
    assert same_planes(whole, from_rgb(rgb, pix_fmt, colour))
    assert torch.equal(back, to_rgb(whole, colour))


def test_threads_change_nothing(monkeypatch):
    picture = smooth(180, 1000)
    alone = from_rgb(picture, "yuv420p10le", Colour())
    seen = to_rgb(alone, Colour())
    monkeypatch.setattr(chroma.os, "cpu_count", lambda: 16)
    together = from_rgb(picture, "yuv420p10le", Colour())
    assert len(chroma.whole(180, 1000, 90)) > 1
    assert same_planes(alone, together)
    assert torch.equal(to_rgb(together, Colour()), seen)
    assert chroma._pool.cache_info().currsize == 1
