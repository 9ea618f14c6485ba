"""Each protocol's rounding and padding, with fillers whose frames are known."""

import math
import threading
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from skimage.metrics import structural_similarity

from tween.core import TweenError
from tween.evaluate import PROTOCOLS, choose, middle_frames
from tween.evaluate.middle import Row, fill_middle, full_precision, tabulate
from tween.evaluate.protocols import canvas, centred
from tween.evaluate.sheet import contact_sheet, worst
from tween.metrics import ssim_matlab
from tween.models.interp.baselines import Blend


@dataclass
class Scene:
    name: str
    frames: tuple
    t: Fraction = Fraction(1, 2)

    def load(self):
        return self.frames


class Spy(Blend):
    """Remembers what it was shown."""

    multiple = 4

    def fill(self, state, known, known_t, query_t, cond=None):
        self.known, self.times = known, (known_t, query_t)
        return super().fill(state, known, known_t, query_t)


def grey(value, h=8, w=8):
    return torch.full((3, h, w), value / 255)


def test_means_count_every_picture_alike():
    scenes = [Scene(str(e), (grey(100), grey(100 + e), grey(100))) for e in (2, 10)]
    table = middle_frames(Blend(), scenes, choose("triplets"))
    assert [r.psnr for r in table.rows] == pytest.approx(
        [20 * math.log10(255 / e) for e in (2, 10)], abs=1e-4
    )
    assert table.psnr == pytest.approx(sum(r.psnr for r in table.rows) / 2)
    assert table.ie == pytest.approx(6)
    assert set(table.json()) == {"protocol", "psnr", "ssim", "ie", "confidence", "rows"}
    assert set(table.json()["rows"][0]) == {"name", "psnr", "ssim", "ie"}


def test_the_next_scene_is_read_while_one_is_filled_and_errors_come_in_their_turn():
    came = threading.Event()

    class Next(Scene):
        def load(self):
            came.set()
            raise TweenError("cannot be read")

    class Waits(Blend):
        filled = False

        def fill(self, *known, **cond):
            self.filled = came.wait(20)
            return super().fill(*known, **cond)

    filler = Waits()
    with pytest.raises(TweenError, match="cannot be read"):
        middle_frames(filler, [Scene("a", (grey(1),) * 3), Next("b", ())], choose("triplets"))
    assert filler.filled


@pytest.mark.parametrize(
    ("dataset", "protocol", "error"),
    [
        ("triplets", None, 0.5),
        ("vimeo", "paper", 0.5),
        ("vimeo", "ema", 0.5),
        ("vimeo", "ifrnet", 0.5),
        ("vimeo", "rife", 0.0),
        ("ucf101", None, 0.0),
        ("ucf101", "ema", 0.0),
        ("ucf101", "ifrnet", 0.5),
        ("middlebury", None, 0.0),
        ("middlebury", "ifrnet", 0.5),
        ("snu-film-hard", None, 0.5),
        ("snu-film-hard", "ema", 0.5),
        ("xtest-2k", None, 0.0),
        ("xtest-4k", "ema", 0.0),
        ("xiph-4k", None, 0.0),
        ("xiph-4k", "ifrnet", 0.5),
    ],
)
def test_rounding(dataset, protocol, error):
    """The mean of 101 and 102 rounds half to even: to 102."""
    made = middle_frames(Blend(), [Scene("a", (grey(101), grey(102), grey(102)))], choose(dataset, protocol))
    expected = 20 * math.log10(255 / error) if error else 100
    assert made.psnr == pytest.approx(expected, abs=1e-3)
    assert made.ie == 0  # always of 8-bit pictures


def test_ssim_is_the_papers():
    a, b, c = torch.rand(3, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    table = middle_frames(Blend(), [Scene("a", (a, b, c))], choose("triplets"))
    assert table.ssim == pytest.approx(ssim_matlab(((a + c) / 2)[None], b[None]).item(), abs=1e-6)


def test_middlebury_on_a_black_canvas():
    spy = Spy()
    before, after = torch.rand(2, 1, 3, 388, 584) + 0.1
    made = fill_middle(spy, before, after, choose("middlebury"))
    assert spy.known.shape == (1, 2, 3, 480, 640)
    assert torch.equal(spy.known[0, :, :, :388, :584], torch.cat((before, after)))
    assert spy.known[..., 388:, :].abs().max() == spy.known[..., 584:].abs().max() == 0
    assert torch.allclose(made, ((before + after) / 2).clamp(0, 1))
    assert spy.times == ((Fraction(0), Fraction(1)), (Fraction(1, 2),))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([16, 20, 32]))
def test_centred_padding_reaches_its_multiple(h, w, divisor):
    x = torch.rand(1, 1, h, w)
    padded, (rows, columns) = centred(x, divisor)
    assert all(
        side % divisor == 0 and side - small < divisor
        for side, small in zip(padded.shape[2:], (h, w), strict=True)
    )
    assert torch.equal(padded[..., rows, columns], x)
    assert 0 <= (padded.shape[3] - columns.stop) - columns.start <= 1  # the odd pixel lies right


def test_centred_padding_repeats_the_border():
    x = torch.rand(2, 3, 45, 70)
    padded, (rows, columns) = centred(x)
    assert padded.shape == (2, 3, 64, 96)
    assert (rows, columns) == (slice(9, 54), slice(13, 83))
    assert torch.equal(padded[..., rows, columns], x)
    assert torch.equal(padded[..., 0, 0], x[..., 0, 0])
    assert torch.equal(padded[..., -1, -1], x[..., -1, -1])


def test_a_canvas_is_never_too_small():
    assert canvas(torch.rand(1, 3, 500, 700))[0].shape == (1, 3, 500, 700)


def test_sizes_the_network_cannot_take_are_padded_and_cropped():
    spy = Spy()
    made = fill_middle(spy, torch.rand(1, 3, 9, 10), torch.rand(1, 3, 9, 10), choose("triplets"))
    assert spy.known.shape[-2:] == (12, 12)
    assert made.shape == (1, 3, 9, 10)


def test_every_dataset_says_how_it_was_measured():
    for ways in PROTOCOLS.values():
        assert next(iter(ways)) == "paper"
        for name, way in ways.items():
            assert str(way).startswith(f"{name} protocol: ")
            assert ("8-bit" in str(way)) == way.rounded
            assert ("no TTA" in str(way)) != way.tta
            assert f"flow scale {way.scale:g}, t {way.times}" in str(way)
            assert way.padding.words in str(way)
            assert ("scikit-image" in str(way)) == (way.ssim == "uniform")


@pytest.mark.parametrize(
    ("dataset", "protocol", "expected"),
    [
        ("snu-film-easy", "ema", "replicate /32 centred, flow scale 0.5, t direct, TTA by a half turn"),
        ("snu-film-extreme", "ifrnet", "replicate /20 centred, flow scale 0.8, t direct, no TTA"),
        ("xtest-4k", "paper", "replicate /32 centred, flow scale 0.25, t direct, no TTA"),
        ("xtest-2k", "vfimamba", "flow scale 0.5, t recursive, TTA by a half turn"),
        ("xiph-2k", "ema", "scikit-image's SSIM, padding replicate /16 centred, flow scale 0.5"),
        ("middlebury", "paper", "8-bit PSNR and ssim_matlab, padding zeros to 640x480, flow scale 1"),
    ],
)
def test_what_the_scripts_do(dataset, protocol, expected):
    assert expected in str(choose(dataset, protocol))


@given(st.integers(1, 63))
def test_the_time_of_the_scene_is_filled(k):
    """Blend makes of black and white the grey of the time, straight and by halving."""
    t = Fraction(k, 64)
    scene = Scene("a", (grey(0), grey(255 * float(t)), grey(255)), t)
    for times in ("direct", "recursive"):
        table = middle_frames(Blend(), [scene], replace(choose("vimeo"), times=times))
        assert table.psnr > 90


def test_halving_asks_only_for_middles_and_uses_what_was_made():
    class Middles(Blend):
        asked = ()

        def fill(self, state, known, known_t, query_t, cond=None):
            self.asked += (known[0, :, 0, 0, 0].tolist(), query_t)
            return super().fill(state, known, known_t, query_t)

    spy = Middles()
    black, white = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    way = replace(choose("vimeo"), times="recursive")
    fill_middle(spy, black, white, way, Fraction(3, 8))
    halfway = (Fraction(1, 2),)
    assert spy.asked == ([0, 1], halfway, [0, 0.5], halfway, [0.25, 0.5], halfway)
    with pytest.raises(TweenError, match="1/3"):
        fill_middle(spy, black, white, way, Fraction(1, 3))


def test_tta_averages_with_the_turned_frames():
    class Corner(Blend):
        """Leaves a mark in the first row and column."""

        def fill(self, state, known, known_t, query_t, cond=None):
            made, state = super().fill(state, known, known_t, query_t)
            made = made.clone()
            made[..., 0, 0] = 1.0
            return made, state

    x = torch.zeros(1, 3, 6, 8)
    made = fill_middle(Corner(), x, x, replace(choose("vimeo"), tta=True))
    expected = torch.zeros_like(x)
    expected[..., 0, 0] = expected[..., 5, 7] = 0.5
    assert torch.equal(made, expected)


def test_only_what_is_made_is_rounded():
    truth = grey(100.25)  # as of frames scaled down after reading
    table = middle_frames(Blend(), [Scene("a", (grey(100), truth, grey(100)))], choose("xtest-2k"))
    assert table.psnr == pytest.approx(20 * math.log10(255 / 0.25), abs=1e-3)


def test_xiph_has_scikit_image_s_ssim():
    a, b, c = torch.rand(3, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    table = middle_frames(Blend(), [Scene("a", (a, b, c))], choose("xiph-2k"))
    files = [(x.permute(1, 2, 0) * 255).round().byte().numpy() for x in ((a + c) / 2, b)]
    # the truth is a file's picture there; here it is not, and rounding it moves the fourth decimal
    assert table.ssim == pytest.approx(structural_similarity(*files, channel_axis=2), abs=1e-3)


def test_further_measures_get_every_picture_and_their_own_mean():
    scenes = [Scene(str(e), (grey(100), grey(100 + e), grey(120))) for e in (2, 10)]
    seen = []

    def height(made, truth, before, after):
        seen.append([round(255 * x[0, 0, 0, 0].item()) for x in (made, truth, before, after)])
        return float(len(seen))

    table = middle_frames(Blend(), scenes, choose("triplets"), further={"height": height})
    assert seen == [[110, 102, 100, 120], [110, 110, 100, 120]]
    assert table.further == {"height": 1.5}
    assert [row["height"] for row in table.json()["rows"]] == [1, 2]
    assert table.json()["height"] == 1.5
    assert "height 1.5000 ± " in str(table)


def test_confidence_of_the_mean_is_student_s():
    rows = [Row(str(v), v, 0.9, 1.0) for v in (30.0, 32.0, 37.0)]
    table = tabulate("p", rows)
    low, high = stats.t.interval(0.95, 2, loc=33, scale=stats.sem([30.0, 32.0, 37.0]))
    assert table.confidence()["psnr"] == pytest.approx((low, high), rel=1e-4)
    assert f"PSNR 33.000 ± {(high - low) / 2:.3f} dB" in str(table)
    assert tabulate("p", rows[:1]).confidence() == {}
    assert math.isnan(tabulate("p", []).psnr)


def test_worst_pictures_are_drawn_worst_first(tmp_path):
    scenes = [
        Scene(n, (grey(v, 24, 40), grey(100, 24, 40), grey(v, 24, 40)))
        for n, v in (("a", 100), ("b", 160), ("c", 120))
    ]
    way = choose("triplets")
    table = middle_frames(Blend(), scenes, way)
    assert [row.name for row in worst(table.rows, 2)] == ["b", "c"]
    path = tmp_path / "sheet.png"
    contact_sheet(path, Blend(), scenes, table.rows, way, count=2)
    with Image.open(path) as image:
        assert image.size == (4 * 320, 2 * (16 + 192))
        centres = [[image.getpixel((160 + 320 * i, y))[0] for i in range(4)] for y in (110, 318)]
    assert centres == [[160, 160, 100, 240], [120, 120, 100, 80]]
    with pytest.raises(TweenError, match="contact sheet"):
        contact_sheet(tmp_path / "sheet.xyz", Blend(), scenes, table.rows, way)


def test_mistakes():
    with pytest.raises(TweenError, match="ucf101"):
        choose("kinetics")
    with pytest.raises(TweenError, match="ifrnet"):
        choose("triplets", "amt2")
    spy = Spy()
    spy.past = 2
    with pytest.raises(TweenError, match="one frame before and one after"):
        middle_frames(spy, [], choose("triplets"))


def test_tf32_is_off_inside_and_as_before_outside():
    before = torch.backends.cudnn.allow_tf32
    with full_precision():
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
