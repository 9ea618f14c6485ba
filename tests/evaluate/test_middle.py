"""Each protocol's rounding and padding, with fillers whose frames are known."""

import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
import torch

from tween.core import TweenError
from tween.evaluate import PROTOCOLS, choose, middle_frames
from tween.evaluate.middle import fill_middle, full_precision
from tween.evaluate.protocols import canvas, centred
from tween.metrics import ssim_matlab
from tween.models.interp.baselines import Blend


@dataclass
class Scene:
    name: str
    frames: tuple

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


@pytest.mark.parametrize(
    ("dataset", "protocol", "error"),
    [
        ("triplets", None, 0.5),
        ("triplets", "ema", 0.5),
        ("triplets", "ifrnet", 0.5),
        ("triplets", "rife", 0.0),
        ("ucf101", None, 0.0),
        ("ucf101", "ema", 0.0),
        ("ucf101", "ifrnet", 0.5),
        ("middlebury", None, 0.0),
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
        for name, way in ways.items():
            assert str(way).startswith(f"{name} protocol: ")
            assert ("8-bit" in str(way)) == way.rounded


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
