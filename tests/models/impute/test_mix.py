"""Views of a frame are what they say, and a mix takes its shares of them pixel by pixel."""

import torch

from tween.models.impute.fills import linear
from tween.models.impute.mix import VIEWS, Mix, steadied, views

CLIP = torch.rand(2, 5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
KNOWN = torch.tensor([[True, False, False, False, True], [False, True, False, False, False]])
AT = torch.tensor([0.0, 1.0, 2.0, 3.0, 8.0])


def test_the_keyframe_before_and_after_and_both_faded():
    before, after, faded, _ = (CLIP[:, :, None] + views(CLIP, KNOWN, AT)).unbind(2)
    torch.testing.assert_close(faded, linear(CLIP, KNOWN, AT))
    torch.testing.assert_close(before[0, :4], CLIP[0, :1].expand(4, -1, -1, -1))
    torch.testing.assert_close(after[0, 1:], CLIP[0, -1:].expand(4, -1, -1, -1))
    torch.testing.assert_close(before[1], CLIP[1, 1:2].expand(5, -1, -1, -1))
    assert not views(CLIP, ~KNOWN & KNOWN, AT)[:, :, :3].any()


def test_a_frame_as_its_neighbours_say_moves_evenly_in_time():
    even = AT.view(1, 5, 1, 1, 1) * torch.rand(1, 1, 3, 4, 4) + CLIP[:1, :1]
    torch.testing.assert_close(steadied(even, AT), even)
    jump = even.clone()
    jump[:, 2] += 1
    assert (steadied(jump, AT) - even)[:, 2].abs().max() < 1e-5
    assert torch.equal(steadied(CLIP[:, :2], AT[:2]), CLIP[:, :2])


def test_shares_are_taken_and_the_remainder_is_painted_by_its_unit():
    mix, others = Mix(3, 8, 2, reach=0.1), views(CLIP, KNOWN, AT)
    told = torch.rand(2, 5, 2, 4, 4)
    assert torch.equal(mix(CLIP, others, told), CLIP)
    with torch.no_grad():
        mix.leave.bias[: VIEWS + 1] = torch.tensor([0.0, 0.25, 0.5, 0.0, 1.0])
    made = mix(CLIP, others, told)
    want = CLIP + 0.25 * others[:, :, 1] + 0.5 * others[:, :, 2]
    want[:, :, 0] += 0.1
    torch.testing.assert_close(made, want)


def test_a_share_is_of_its_place():
    """What is told of one pixel changes the answer around it only: three convolutions reach three pixels."""
    torch.manual_seed(0)
    mix = Mix(3, 8, 2, reach=0.1)
    torch.nn.init.normal_(mix.leave.weight)
    clip, known = torch.rand(1, 3, 3, 12, 12), torch.tensor([[True, False, True]])
    others = views(clip, known, AT[:3])
    told = torch.zeros(1, 3, 2, 12, 12)
    before = mix(clip, others, told)
    told[:, 1, :, 6, 6] = 1
    changed = (mix(clip, others, told) - before).abs().amax((0, 2))
    assert changed[1, 3:10, 3:10].min() > 0
    changed[1, 3:10, 3:10] = 0
    assert not changed.any()
