"""Teachers of flow: exact stays exact, DIS finds a shift, the user's file is asked and checked."""

import pytest
import torch
import torch.nn.functional as F

from tween.core import TweenError
from tween.data.clips import Triples
from tween.recipes.feeds import Feed
from tween.recipes.teachers import dis, estimated, exact, taught, teacher

SHIFT = 3


def batch(known):
    """Triples of a texture that moves `SHIFT` px to the left from frame to frame."""
    g = torch.Generator().manual_seed(0)
    wide = F.interpolate(
        torch.rand(len(known), 3, 12, 20, generator=g), scale_factor=8, mode="bicubic"
    ).clamp(0, 1)
    frames = torch.stack([wide[..., k * SHIFT : k * SHIFT + 96] for k in range(3)], 1)
    flow = torch.full((len(known), 4, *frames.shape[-2:]), 7.0)
    return Triples(
        frames=frames, t=torch.full((len(known),), 0.5), flow=flow, between=flow, known=torch.tensor(known)
    )


def test_dis_sees_the_shift_where_nothing_is_known_and_leaves_the_rest():
    made = estimated(dis)(batch([0.0, 1.0, 0.0]))
    assert made.known.tolist() == [1.0, 1.0, 1.0]
    assert torch.equal(made.flow[1], torch.full_like(made.flow[1], 7.0))
    inner = made.flow[[0, 2], :, 16:-16, 16:-16].mean((2, 3))
    expected = torch.tensor([[SHIFT, 0.0, -SHIFT, 0.0]] * 2)  # frame 0 lies to the right, frame 1 to the left
    torch.testing.assert_close(inner, expected, atol=0.3, rtol=0)


def test_exact_adds_nothing():
    one = batch([0.0, 1.0])
    assert exact(one) is one
    assert teacher(None, None) is exact
    assert teacher("exact", None) is exact


def test_a_batch_of_known_flow_needs_no_teacher():
    one = batch([1.0])
    assert estimated(lambda a, b: 1 / 0)(one) is one


def test_a_users_file_is_asked(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("def flow(a, b):\n    return (b - a)[:, :2] * 0 + 2\n")
    made = teacher("given", file)(batch([0.0]))
    assert torch.equal(made.flow, torch.full_like(made.flow, 2.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there"),
        ("flow = 3", "define flow"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("def flow(a, b):\n    return a", "gave \\(1, 3, 96, 96\\)"),
        ("def flow(a, b):\n    return None", "gave NoneType"),
    ],
)
def test_a_users_file_that_is_not_what_it_should_be(tmp_path, text, said):
    file = tmp_path / "net.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(TweenError, match=said):
        teacher("given", file)(batch([0.0]))


def test_without_the_users_file():
    with pytest.raises(TweenError, match="--teacher"):
        teacher("given", None)


def test_a_feed_is_taught_batch_by_batch():
    feed = Feed(draw=lambda schedule, size, seed, device: lambda index: batch([0.0] * (index + 1)))
    draw = taught(feed, estimated(given_two)).draw(None, 2, 0, "cpu")
    assert [draw(i).known.tolist() for i in (0, 1)] == [[1.0], [1.0, 1.0]]
    assert draw(1).flow[1, 0, 0, 0] == 2


def given_two(a, b):
    return torch.full_like(a[:, :2], 2.0)
