"""Names, weight files, devices and precision."""

import hashlib
import time
from fractions import Fraction

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from tween.core import Filler, TweenError
from tween.evaluate.middle import paired
from tween.zoo import ZOO, load
from tween.zoo.load import WEIGHTS, read, released
from tween.zoo.selfcheck import moving_pattern, quickest

HALF = (Fraction(0), Fraction(1)), [Fraction(1, 2)]


class Slow:
    """Takes `seconds` and gives the first frame plus `offset`."""

    past = future = multiple = 1
    bytes_per_pixel = 1.0

    def __init__(self, seconds: float, offset: float = 0.0) -> None:
        self.seconds, self.offset = seconds, offset

    def begin(self, shape, *, seed, device, dtype):
        return None

    def fill(self, state, known, known_t, query_t, cond=None):
        time.sleep(self.seconds)
        return known[:, :1] + self.offset, state


@pytest.mark.parametrize("name", ["blend", "nearest", "dis"])
def test_methods_without_weights_fill(name):
    filler = load(name, device="cpu")
    assert isinstance(filler, Filler)
    known = moving_pattern()
    frames, _ = filler.fill(
        filler.begin((1, 3, 256, 448), seed=0, device="cpu", dtype=torch.float32), known, *HALF
    )
    assert frames.shape == (1, 1, 3, 256, 448)


def test_every_entry_is_whole():
    for entry in ZOO.values():
        assert entry.summary
        assert (entry.file is None) == (entry.sha256 is None) == (entry.card is None) == (entry.params == 0)
        if entry.file:
            tensors = read(WEIGHTS / entry.file, entry.sha256)
            assert sum(t.numel() for t in tensors.values()) >= entry.params
            assert (WEIGHTS.parent / "cards" / entry.card).is_file()


def test_all_weights_together_stay_small():
    sizes = [file.stat().st_size for file in WEIGHTS.iterdir()]
    assert max(sizes) < 15e6
    assert sum(sizes) <= 64e6


def test_quality_was_trained_around_the_fast_that_is_released():
    """Its file holds what is around `fast` alone."""
    with safe_open(WEIGHTS / ZOO["quality"].file, "pt") as file:
        assert file.metadata()["fast"] == ZOO["fast"].sha256
    filler = load("quality", device="cpu", precision="fp32")
    net = filler.net
    assert filler.filler.net is net.fast
    assert all(torch.equal(net.fast.state_dict()[n], v.float()) for n, v in released("fast").items())
    assert net.refine.head.weight.any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": "rife"}, "blend"),
        ({"name": "blend", "device": "toaster"}, "toaster"),
        ({"name": "blend", "precision": "fp8"}, "fp8"),
        ({"name": "blend", "precision": "bf16"}, "fp32"),
        ({"name": "blend", "scale": 0.0}, "scale"),
        ({"name": "blend", "scale": 0.5}, "full size"),
    ],
)
def test_mistakes_are_named(arguments, says):
    with pytest.raises(TweenError, match=says):
        load(**{"device": "cpu", **arguments})


def test_only_the_released_weights_load(tmp_path):
    path = tmp_path / "net.safetensors"
    data = save({"w": torch.arange(3.0)})
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    assert torch.equal(read(path, digest)["w"], torch.arange(3.0))
    path.write_bytes(data[:-1] + b"\0")
    with pytest.raises(TweenError, match="SHA-256"):
        read(path, digest)
    with pytest.raises(TweenError, match="reinstall"):
        read(tmp_path / "none.safetensors", digest)


@pytest.mark.parametrize(
    ("half", "wins"), [(Slow(0.01), True), (Slow(0.05), False), (Slow(0.01, offset=0.1), False)]
)
def test_bf16_only_where_quicker_and_close(half, wins):
    full = Slow(0.04)
    assert (quickest(lambda dtype: full if dtype == torch.float32 else half) is half) == wins


def test_splat_sees_four_frames_in_fp32_and_a_triplet_two():
    filler = load("splat", device="cpu")
    assert (filler.past, filler.future, filler.dtype) == (2, 2, torch.float32)
    assert load("splat", device="cpu", precision="bf16", scale=0.5).net.config.area == 180 * 180
    assert paired(filler).past == 1
