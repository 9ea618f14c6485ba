"""A refiner as a `Filler`: what is given stays, proposals may change, answers differ by seed."""

from fractions import Fraction

import pytest
import torch

from tests.infer.fakes import Linear
from tests.models.impute.codecs import codec
from tests.models.impute.toy import video_net
from tween.core import Filler, TweenError
from tween.infer.storyboard import Keyframes, storyboard
from tween.models.impute.corrupt import gaussian
from tween.models.impute.filler import ImputeFiller, bytes_per_pixel, paced
from tween.models.impute.framewise import decoded, encoded
from tween.nn.vae import SMALL, WAN, WanConfig, WanVAE

T = [Fraction(k, 2) for k in range(4)]
KNOWN = torch.rand(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
ASK = [Fraction(2, 3), Fraction(3, 4)]


def filler(live=True, **trunk):
    return ImputeFiller(video_net(live, **trunk), Linear())


def filled(made, ask=ASK, cond=None, seed=0):
    state = made.begin((1, 3, 8, 8), seed=seed, device="cpu", dtype=KNOWN.dtype)
    return made.fill(state, KNOWN, T, ask, cond)[0]


def test_it_is_a_filler_and_a_fresh_one_is_its_coarse_fill():
    made = filler(live=False)
    assert isinstance(made, Filler)
    a = 2 * (ASK[0] - T[1])
    torch.testing.assert_close(filled(made)[:, 0], KNOWN[:, 1].lerp(KNOWN[:, 2], float(a)), atol=1e-5, rtol=0)
    assert (filled(filler()) - filled(made)).abs().max() > 1e-3


def test_order_and_number_of_queries_do_not_mix_them_up():
    made = filler()
    both = filled(made)
    assert torch.equal(filled(made, ASK[::-1]), both.flip(1))


def test_frames_that_come_repeatedly_are_seen_once():
    made = ImputeFiller(video_net(), Linear(), past=2, future=1)
    state = made.begin((1, 3, 8, 8), seed=0, device="cpu", dtype=KNOWN.dtype)
    twice = made.fill(state, KNOWN[:, [0, 0, 1]], [T[0], T[0], T[1]], [Fraction(1, 4)])[0]
    once = made.fill(state, KNOWN[:, [0, 1]], T[:2], [Fraction(1, 4)])[0]
    assert torch.equal(twice, once)


def test_a_proposal_may_be_changed_and_what_is_given_not():
    made = filler(clamp=True)
    some = made.condition(given=[True, False, True, True], text=None)
    assert (filled(made, [T[1]], some) - KNOWN[:, 1:2]).abs().max() > 1e-3
    assert torch.equal(filled(made, [T[2]], some), KNOWN[:, 2:3])
    assert torch.equal(filled(made, [T[1]], made.condition(given=[True] * 4, text=None)), KNOWN[:, 1:2])


def test_it_takes_fewer_keyframes_around_a_gap():
    made = filler()
    fewer = made.seeing(3)
    assert (fewer.past, fewer.future, fewer.net, fewer.coarse) == (1, 2, made.net, made.coarse)
    with pytest.raises(TweenError, match="2, 3 or 4 known frames, but --frames 5"):
        made.seeing(5)


def test_a_style_differs_by_seed():
    made = filler(style=3)
    assert torch.equal(filled(made, seed=1), filled(made, seed=1))
    assert (filled(made, seed=1) - filled(made, seed=2)).abs().max() > 1e-4


def test_text_is_averaged_over_its_tokens_or_refused():
    made, text = filler(text=5), torch.rand(7, 5)
    a = filled(made, cond=made.condition(given=[True] * 4, text=text))
    b = filled(made, cond=made.condition(given=[True] * 4, text=text.mean(0)))
    torch.testing.assert_close(a, b)
    assert (a - filled(made)).abs().max() > 1e-4
    with pytest.raises(TweenError, match="takes no text"):
        filler().condition(given=[True] * 4, text=text)
    with pytest.raises(TweenError, match="of 5 values, but got 6"):
        made.condition(given=[True] * 4, text=torch.rand(6))


def test_only_the_change_goes_through_an_autoencoder():
    torch.manual_seed(0)
    vae = WanVAE(WanConfig(latent=4, width=8, decoder_width=8, multipliers=(1, 2), blocks=1, time=(True,)))
    still, moved = (
        ImputeFiller(video_net(live, channels=4), Linear(), codec=vae.eval()) for live in (False, True)
    )
    assert still.multiple == 4
    torch.testing.assert_close(filled(still), filled(filler(live=False)), atol=1e-5, rtol=0)
    assert (filled(moved) - filled(still)).abs().max() > 1e-4


def test_a_storyboard_keeps_its_keyframes():
    board = Keyframes(times=tuple(T), load=lambda i: KNOWN[0, i], given=(True,) * 4)
    frames = list(storyboard(board, Fraction(6), filler()))
    assert [f.time for f in frames] == [Fraction(k, 6) for k in range(10)]
    for f in frames:
        if f.time in T:
            assert torch.equal(f.rgb, KNOWN[0, T.index(f.time)])


def test_gaps_of_two_seconds_are_refined_in_one_piece_so_that_no_seam_is_seen():
    made, rate = filler(), Fraction(24)
    board = Keyframes(times=(Fraction(0), Fraction(2)), load=lambda i: KNOWN[0, i], given=(True,) * 2)
    frames = torch.stack([frame.rgb for frame in storyboard(board, rate, made)][1:-1])
    known, times = KNOWN[:, [0, 0, 1, 1]], [Fraction(0), Fraction(0), Fraction(2), Fraction(2)]
    state = made.begin((1, 3, 8, 8), seed=0, device="cpu", dtype=KNOWN.dtype)
    whole = made.fill(state, known, times, [i / rate for i in range(1, 48)])[0][0]
    assert torch.equal(frames, whole)


def test_times_are_paced_by_their_least_distance():
    assert paced([Fraction(1), Fraction(3, 2), Fraction(3)]).tolist() == [0.0, 1.0, 4.0]


def test_noise_that_was_learned_from_is_added_in_use_by_the_seed_and_not_to_what_is_known(tmp_path):
    seen = []

    class Spy(torch.nn.Module):
        config = video_net().config

        def forward(self, latents, known, **more):
            seen.append((latents, known))
            return latents

    noisy = ImputeFiller(Spy(), Linear(), noise=gaussian(0.1))
    one, again, other = (filled(noisy, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    clean = filled(ImputeFiller(Spy(), Linear()))
    assert (one - clean).std() == pytest.approx(0.1, abs=0.03)
    for latents, known in seen:
        assert torch.equal(latents[known], KNOWN[0])
    vae = codec(tmp_path / "codec.safetensors")
    latent = ImputeFiller(video_net(channels=4), Linear(), codec=vae, noise=gaussian(0.1))
    there = torch.tensor([[True, False, False, True]])
    begun, lost = latent.begun(KNOWN, there, T, 1)
    shown = latent.noised(KNOWN, there, T, 1).clamp(0, 1)
    assert torch.equal(begun, encoded(vae, shown))
    assert torch.equal(lost, KNOWN - decoded(vae, encoded(vae, KNOWN)))  # the noise is not put back
    assert torch.equal((shown == KNOWN).flatten(2).all(2), there)


def test_memory_grows_with_frames_and_the_widest_maps_of_an_autoencoder():
    with torch.device("meta"):
        wan, small = WanVAE(WAN), WanVAE(SMALL)
    assert bytes_per_pixel(20, None) == 12_400
    assert 1_850 < bytes_per_pixel(20, None, tiled=True) < 3_000  # 1,850 measured with 19
    assert 22_446 < bytes_per_pixel(20, wan) < 30_000  # 22,446 measured with 5
    assert 4_357 < bytes_per_pixel(20, small) < 6_000  # 4,357 measured
