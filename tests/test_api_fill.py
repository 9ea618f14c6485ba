"""`tween.fill`: the clip of a storyboard, of pictures of every kind."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

import tween
from tests.infer.fakes import Linear
from tests.infer.refining import Refining

ARRAYS = list(np.random.default_rng(0).integers(0, 256, (3, 24, 32, 3), np.uint8))
KINDS = {
    "uint8": ARRAYS,
    "uint16": [a.astype(np.uint16) * 257 for a in ARRAYS],
    "float": [a.astype(np.float32) / 255 for a in ARRAYS],
    "grey": [a[..., 0] for a in ARRAYS],
    "tensor": [torch.from_numpy(a).permute(2, 0, 1) for a in ARRAYS],
    "pil": [Image.fromarray(a) for a in ARRAYS],
}


@pytest.mark.parametrize("kind", KINDS)
def test_keyframes_come_out_as_the_objects_they_are(kind):
    pictures = KINDS[kind]
    clip = list(tween.fill(pictures, [0, "0.5", 1.25], 8, model="blend"))
    assert [time for time, _ in clip] == [Fraction(i, 8) for i in range(11)]
    assert all(clip[i][1] is picture for i, picture in zip((0, 4, 10), pictures, strict=True))
    assert all(type(picture) is type(pictures[0]) for _, picture in clip)
    middle, ends = np.asarray(clip[2][1], np.float64), [np.asarray(p, np.float64) for p in pictures[:2]]
    np.testing.assert_allclose(middle, (ends[0] + ends[1]) / 2, atol=0.51 if kind != "float" else 1e-6)


def test_a_model_that_refines():
    def made(**options):
        return [p for _, p in tween.fill(KINDS["float"], [0, 1, 2], 2, model=Refining(), **options)]

    plain, other = made(), made(seed=1)
    assert not np.array_equal(plain[1], other[1])
    assert all(np.array_equal(a, b) for a, b in zip(made(draft=True), made_linear(), strict=True))
    changed = made(given=(True, False, True))
    assert [a is b for a, b in zip(changed[::2], KINDS["float"], strict=True)] == [True, False, True]
    told = made(text=torch.ones(4))
    np.testing.assert_allclose(told[1], np.clip(plain[1] + 0.1, 0, 1), atol=1e-6)


def made_linear():
    return [p for _, p in tween.fill(KINDS["float"], [0, 1, 2], 2, model=Linear())]


def test_a_keyframe_between_two_frames_is_told():
    notes = []
    list(tween.fill(ARRAYS[:2], [0, 0.3], 2, model="blend", on=notes.append))
    assert ["0.5 s in place of 0.3 s" in note.text for note in notes] == [True]


@pytest.mark.parametrize(
    ("frames", "times", "options", "said"),
    [
        (ARRAYS[:1], [0], {}, "two keyframes or more"),
        (ARRAYS[:2], [1, 1], {}, "should increase"),
        (ARRAYS, [0, 1], {}, "as many pictures as times"),
        (ARRAYS[:2], [0, 1], {"given": [True]}, "as many pictures as times"),
        ([ARRAYS[0], ARRAYS[1][:-1]], [0, 1], {}, "number 2 ndarray"),
        ([ARRAYS[0], KINDS["pil"][1]], [0, 1], {}, "of one kind and size"),
        ([torch.rand(2, 3, 8, 8)] * 2, [0, 1], {}, "should be one picture"),
        (ARRAYS[:2], [0, 1], {"text": torch.ones(4)}, "takes no text"),
        (ARRAYS[:2], [0, "x"], {}, "a time should be a number"),
    ],
)
def test_mistakes_are_said_at_once(frames, times, options, said):
    with pytest.raises(tween.TweenError, match=said):
        tween.fill(frames, times, 4, model="blend", **options)


def test_between_asks_a_model_of_several_frames_as_it_wants_to_be_asked():
    made = tween.between(*KINDS["float"][:2], 0.25, model=Linear(past=2, future=3))
    np.testing.assert_allclose(made, 0.75 * KINDS["float"][0] + 0.25 * KINDS["float"][1], atol=1e-6)
