"""Keys and mouse in a frame."""

import pytest
import torch

from tween.video.overlay import drawn

GREY = torch.full((3, 120, 160), 0.5)


def amber(rgb):
    """Where it is the colour of what is held: rows and columns."""
    found = ((rgb - torch.tensor([1.0, 0.69, 0.125])[:, None, None]).abs().amax(0) < 0.12).nonzero()
    return found.float()


@pytest.mark.parametrize(("letter", "row", "column"), [("W", 0, 1), ("A", 1, 0), ("S", 1, 1), ("D", 1, 2)])
def test_a_held_key_is_lit_where_it_is_on_a_keyboard(letter, row, column):
    letters = "WSAD"
    found = amber(drawn(GREY, letters, [x == letter for x in letters], None)).mean(0)
    every = [amber(drawn(GREY, letters, [x == one for x in letters], None)).mean(0) for one in "WASD"]
    rows, columns = sorted({round(float(x[0]) / 4) for x in every}), sorted(float(x[1]) for x in every)
    assert round(float(found[0]) / 4) == rows[row]
    assert float(found[1]) == pytest.approx([columns[0], sum(columns[1:3]) / 2, columns[3]][column], abs=1)
    assert found[0] > 80
    assert found[1] < 60


@pytest.mark.parametrize("mouse", [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (0.5, 0.5)])
def test_the_arrow_points_where_the_mouse_goes(mouse):
    layer = drawn(GREY, "WSAD", [False] * 4, mouse)
    still = drawn(GREY, "WSAD", [False] * 4, (0.0, 0.0))
    assert not len(amber(still))
    ring = ((still - GREY).abs().amax(0)[:, 100:] > 0.02).nonzero().float().mean(0) + torch.tensor([0, 100])
    down, right = amber(layer).mean(0) - ring
    assert torch.sign(torch.round(-down / 2)) == mouse[0] or abs(mouse[0]) == 0.5 == abs(mouse[1])
    assert torch.sign(torch.round(right / 2)) == mouse[1] or abs(mouse[0]) == 0.5 == abs(mouse[1])
    assert (-down * mouse[0] + right * mouse[1]) > 2


def test_a_world_without_mouse_has_none_drawn():
    layer = drawn(GREY, ["Q", "W", "S", "Z", "C", "A", "D"], [True] + [False] * 6, None)
    assert torch.equal(layer[:, :, 120:], GREY[:, :, 120:])
    assert len(amber(layer))


def test_the_rest_of_the_frame_is_untouched_and_the_input_too():
    before = GREY.clone()
    layer = drawn(before, "WSAD", [True] * 4, (0.3, 0.3))
    assert torch.equal(before, GREY)
    assert torch.equal(layer[:, :70], GREY[:, :70])
    assert 0 <= layer.min() <= layer.max() <= 1
    assert (layer[:, 70:] != GREY[:, 70:]).any()


@pytest.mark.parametrize("size", [(16, 16), (33, 97), (352, 640)])
def test_any_size(size):
    assert drawn(torch.zeros(3, *size), "WSAD", [True] * 4, (1.0, 0.0)).shape == (3, *size)
