"""Refiners: what is told matters, what is given stays where it is clamped, a fresh one changes nothing."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.impute.toy import TRUNK, alive, asked, patch_net, video_net
from tween.core import TweenError
from tween.models.impute.config import WAN_1_3B, Trunk, VideoConfig
from tween.models.impute.net import VideoRefiner, hidden, stir
from tween.models.impute.trunk import rotated, rotation

TOKENS = torch.rand(5, 16, 12, generator=torch.Generator().manual_seed(3))
ASKED = asked(5, 16)
MIX = VideoConfig(channels=3, patch=2, mix=8, trunk=Trunk(**TRUNK | {"clamp": True}))


def test_a_fresh_residual_refiner_returns_its_input():
    net = patch_net(live=False)
    assert torch.equal(net(TOKENS, *ASKED), TOKENS)
    clean = patch_net(live=False, residual=False)(TOKENS, *ASKED)
    assert (clean - TOKENS).abs().max() > 0.1


def test_what_is_given_stays_only_where_it_is_clamped():
    known = ASKED[0]
    free, held = (patch_net(clamp=clamp)(TOKENS, *ASKED) for clamp in (False, True))
    assert (free - TOKENS)[known].abs().min() > 0
    assert torch.equal(held[known], TOKENS[known])
    assert torch.equal(held[~known], free[~known])


@pytest.mark.parametrize("which", ["known", "label", "level", "alpha"])
def test_all_that_is_told_changes_the_answer_of_its_sample_only(which):
    net, at = patch_net(), {"known": 0, "label": 1, "level": 2, "alpha": 3}[which]
    told = list(ASKED)
    told[at] = told[at].clone()
    told[at][2] = ~told[at][2] if which == "known" else (told[at][2] + 1) % 3
    changed = (net(TOKENS, *told) - net(TOKENS, *ASKED)).abs().amax((1, 2))
    assert changed[2] > 1e-3
    assert changed[[0, 1, 3, 4]].max() < 1e-5


def test_a_style_tells_answers_apart():
    net = patch_net(style=4)
    g = torch.Generator().manual_seed(0)
    one, other = (net(TOKENS, *ASKED, torch.randn(5, 4, generator=g)) for _ in range(2))
    assert (one - other).abs().amax((1, 2)).min() > 1e-3
    middle = net(TOKENS, *ASKED)
    torch.testing.assert_close(middle, net(TOKENS, *ASKED, torch.zeros(5, 4)))
    with pytest.raises(TweenError, match="one answer only"):
        patch_net()(TOKENS, *ASKED, torch.zeros(5, 4))


def test_an_explicit_refiner_looks_at_what_is_given_and_at_nothing_else():
    net = patch_net(explicit=True)
    look = net.net.blocks[0].look
    x, start, given = torch.randn(2, 16, 32), torch.randn(2, 16, 32), ASKED[0][:2]
    before = look(x, start, given)
    moved = torch.where(given[..., None], start, torch.randn_like(start))
    torch.testing.assert_close(look(x, moved, given), before)
    assert (look(x, start + given[..., None] * torch.randn_like(start), given) - before).abs().max() > 1e-3


def test_clips_of_any_length_and_size():
    net = video_net()
    for shape in ((2, 3, 3, 4, 6), (1, 7, 3, 8, 4)):
        clip = torch.rand(shape)
        known = torch.zeros(shape[:2], dtype=torch.bool)
        known[:, [0, -1]] = True
        made = net(clip, known)
        assert made.shape == clip.shape
        assert (made - clip).abs().max() > 1e-3


def test_a_clip_is_laid_out_as_it_comes_in():
    """With every weight of the blocks at zero the answer depends on each token alone."""
    net = video_net(clamp=True)
    clip = torch.rand(2, 3, 3, 4, 4)
    known = torch.tensor([[True, False, True], [False, True, False]])
    made = net(clip, known)
    assert torch.equal(made[0, 0], clip[0, 0])
    assert torch.equal(made[1, 1], clip[1, 1])
    assert (made[0, 1] - clip[0, 1]).abs().max() > 1e-3


def test_times_matter_and_default_to_frames():
    net = video_net()
    clip, known = torch.rand(1, 3, 3, 4, 4), torch.tensor([[True, False, True]])
    torch.testing.assert_close(net(clip, known), net(clip, known, times=torch.arange(3)))
    assert (net(clip, known) - net(clip, known, times=torch.tensor([0.0, 0.5, 2.0]))).abs().max() > 1e-5


def test_places_turn_by_their_distance_alone():
    q, k = torch.randn(2, 1, 4, 1, 24)
    places = torch.rand(4, 3) * 9
    scores = [
        torch.einsum("bnhd,bmhd->nm", *(rotated(x, rotation(places + by, 24)) for x in (q, k)))
        for by in (0.0, 5.0)
    ]
    torch.testing.assert_close(*scores, atol=1e-4, rtol=1e-4)
    assert rotated(q, rotation(places, 24)).norm(dim=-1) == pytest.approx(q.norm(dim=-1), rel=1e-5)


class Calls(TorchDispatchMode):
    """Counts what is computed."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names[func.overloadpacket._qualified_op_name.removeprefix("aten::")] += 1
        return func(*args, **kwargs or {})


def test_running_blocks_again_gives_the_same_gradient_and_spares_attention():
    found, calls = [], []
    for recompute in (False, True):
        net = patch_net()
        net.net.recompute = recompute
        with Calls() as seen:
            net(TOKENS, *ASKED).square().sum().backward()
        found.append([p.grad for p in net.parameters() if p.grad is not None])
        calls.append(seen.names)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)
    once, again = calls
    attention = "_scaled_dot_product_flash_attention_for_cpu"
    assert once[attention] == again[attention] == TRUNK["layers"]
    assert again["silu"] == once["silu"] + TRUNK["layers"]


def test_text_is_heard_or_refused_in_a_sentence():
    clip, known = torch.rand(2, 3, 3, 4, 4), torch.tensor([[True, False, True]] * 2)
    net = video_net(text=5)
    assert (net(clip, known, text=torch.ones(2, 5)) - net(clip, known)).abs().max() > 1e-3
    with pytest.raises(TweenError, match="trained without text"):
        video_net()(clip, known, text=torch.ones(2, 5))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: patch_net()(TOKENS[:, :9], *asked(5, 9)), "takes 4x4 patches of 12 values"),
        (
            lambda: video_net()(torch.rand(1, 3, 3, 5, 4), torch.ones(1, 3, dtype=torch.bool)),
            "multiples of 2",
        ),
        (lambda: Trunk(width=30, heads=4), "even width each"),
    ],
)
def test_what_does_not_fit_is_a_sentence(call, said):
    with pytest.raises(TweenError, match=said):
        call()


def test_every_parameter_is_in_one_group_and_matrices_of_blocks_are_marked():
    net = patch_net(style=4, explicit=True)
    marked, rest = hidden(net)
    assert marked["muon"]
    assert all(p.ndim == 2 for p in marked["params"])
    assert {*marked["params"], *rest["params"]} == set(net.parameters())
    assert len(marked["params"]) == 2 * 7  # qkv, out, up, down, and q, kv, out of the look
    ends = {net.ends.enter.weight, net.ends.leave.weight, net.net.modulate.weight}
    assert ends <= set(rest["params"])


def test_the_shape_of_wan():
    with torch.device("meta"):
        net = VideoRefiner(WAN_1_3B)
        count = sum(p.numel() for p in net.net.blocks.parameters())
        wan = 30 * (4 * 1536**2 + 2 * 1536 * 8960)
        assert abs(count / wan - 1) < 0.01
        assert isinstance(net, nn.Module)


def test_where_keyframes_agree_nothing_is_changed():
    config = VideoConfig(channels=3, patch=2, calm=0.03, trunk=Trunk(**TRUNK))
    net, g = alive(VideoRefiner(config)), torch.Generator().manual_seed(0)
    clip = torch.rand(1, 1, 3, 8, 40, generator=g).repeat(1, 4, 1, 1, 1)
    clip[:, 2:, :, :, 28:] = torch.rand(1, 2, 3, 8, 12, generator=g)
    known = torch.tensor([[True, False, False, True]])
    made = net(clip, known)
    assert torch.equal(made[..., :20], clip[..., :20])
    assert (made - clip)[..., 28:].abs().max() > 1e-2
    share = stir(clip, known, 0.03)
    assert share.shape == (1, 1, 1, 8, 40)
    assert 0 <= share.min() <= share.max() < 1
    hidden_change = clip.clone()
    hidden_change[:, 1] = 0  # what is not known does not count
    assert torch.equal(stir(hidden_change, known, 0.03), share)


def test_a_fresh_mix_is_its_fill_and_one_that_learned_leaves_what_is_given():
    net = VideoRefiner(MIX)
    clip, known = torch.rand(1, 4, 3, 4, 4), torch.tensor([[True, False, False, True]])
    assert torch.equal(net(clip, known), clip)
    made = alive(net)(clip, known)
    assert torch.equal(made[known], clip[known])
    assert (made - clip)[~known].abs().max() > 1e-2
    with pytest.raises(TweenError, match="begins with the coarse fill"):
        replace(MIX, trunk=replace(MIX.trunk, residual=False))


def test_without_any_keyframe_everything_may_change():
    net = alive(VideoRefiner(replace(MIX, calm=0.03)))
    assert net(torch.rand(1, 3, 3, 4, 4), torch.zeros(1, 3, dtype=torch.bool)).isfinite().all()
