"""The drifting field: batched == reference in value and gradient, and what the paper says of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.core import TweenError
from tween.ops.drift import TEMPERATURES, Weights, drift_field, drift_loss, pack, unconditional
from tween.ops.drift.batched import kernel, raw
from tween.ops.drift.reference import drift_loss as reference

F64 = torch.float64
GROUPS = {"maps": (3, 5), "mean": (1, 6)}
counts = st.integers(1, 5)


def made(sizes, seed=0):
    """For each of generated, positive, negative: name -> one `n l d` a class. Negatives also get weights."""
    torch.manual_seed(seed)
    x, pos, neg = (
        {k: [torch.randn(s[i], places, d, dtype=F64) for s in sizes] for k, (places, d) in GROUPS.items()}
        for i in range(3)
    )
    return x, pos, neg, [3 * torch.rand(s[2], dtype=F64) for s in sizes]


def packed(x, pos, neg, w):
    whole = [{k: pack(v)[0] for k, v in part.items()} for part in (x, pos, neg)]
    real = [pack(part["mean"])[1] for part in (x, pos)]
    return whole, Weights(x=real[0], pos=real[1], neg=pack(w)[0])


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.tuples(counts, counts, st.integers(0, 4)), min_size=1, max_size=4),
    floor=st.sampled_from((0.0, 1e-12, 1e-6)),
)
def test_ragged_classes_agree_with_the_reference_in_value_and_gradient(sizes, floor):
    x, pos, neg, w = made(sizes)
    leaves = [v.requires_grad_() for part in x.values() for v in part]
    importance = {"mean": 0.3}
    slow = reference(x, pos, neg, weights=w, temperatures=TEMPERATURES, importance=importance, floor=floor)
    whole, weights = packed(x, pos, neg, w)
    fast = drift_loss(*whole, weights=weights, importance=importance, floor=floor)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-12)
    for a, b in zip(torch.autograd.grad(fast, leaves), torch.autograd.grad(slow, leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


def test_exchanging_real_and_generated_turns_the_field_round():
    p, q, x = torch.randn(3, 2, 12, 4, dtype=F64).unbind()
    there, back = drift_field(x, p, q, own=False), drift_field(x, q, p, own=False)
    assert there.abs().mean() > 0.1
    assert (there + back).abs().max() < 1e-12


@pytest.mark.parametrize("floor", [0.0, 1e-12])
def test_nothing_moves_where_the_two_distributions_agree(floor):
    p, x = torch.randn(2, 2, 1, 12, 4, dtype=F64).unbind()
    ones = torch.ones(2, 12, dtype=F64)
    for q, moves in ((p.flip(2), False), (p + 1, True)):
        v = raw(kernel(x[None], p[None], q[None], (ones, ones, ones), TEMPERATURES, False, floor))
        assert (v.abs().amax() > 1e-2) if moves else (v.abs().amax() < 1e-14)


def test_the_field_does_not_depend_on_the_origin_nor_on_the_unit():
    x, p = torch.randn(2, 3, 6, 4, dtype=F64).unbind()
    v = drift_field(x, p)
    torch.testing.assert_close(drift_field(7 * x + 100, 7 * p + 100), 7 * v, rtol=1e-8, atol=1e-9)


def test_a_weight_counts_samples():
    x, p, n = torch.randn(3, 2, 5, 4, dtype=F64).unbind()
    twice = drift_field(x, p, torch.cat([n, n[:, :2]], 1))
    w = torch.ones(2, 5)
    w[:, :2] = 2
    torch.testing.assert_close(drift_field(x, p, n, weights=Weights(neg=w)), twice)
    torch.testing.assert_close(drift_field(x, p, n, weights=Weights(neg=0 * w)), drift_field(x, p))


def test_guidance_pushes_off_what_is_common_to_all_classes():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 2, dtype=F64)
    p, common = torch.randn(1, 8, 2, dtype=F64) + torch.tensor([3.0, 0]), torch.randn(1, 4, 2, dtype=F64) - 3
    w = unconditional(torch.tensor([1.0, 3.0]), 8, 4)
    assert w.tolist() == [[0] * 4, [3.5] * 4]
    plain, guided = (drift_field(x, p, common, weights=Weights(neg=w[i, None])) for i in range(2))
    torch.testing.assert_close(plain, drift_field(x, p))
    assert (guided - plain)[..., 1].mean() > 0.05  # away from what lies below
    with pytest.raises(TweenError, match="1 or more"):
        unconditional(torch.tensor([0.5]), 8, 4)


def test_a_sample_alone_in_its_class_and_far_samples_stay_finite():
    x, p = torch.randn(1, 1, 4), torch.randn(1, 3, 4)
    assert drift_field(x, p).eq(0).all()  # nothing to be pushed off
    far = drift_field(torch.randn(1, 8, 4) * 1e-3 + 1e4, torch.randn(1, 8, 4))
    assert far.isfinite().all()
    assert far.mean() < -0.1
    assert drift_field(torch.zeros(1, 4, 2), torch.zeros(1, 4, 2)).isfinite().all()


def test_locations_of_a_group_share_its_scale_and_count_one_by_one():
    x, p = torch.randn(2, 2, 6, 1, 4, dtype=F64).unbind()
    one = drift_loss({"a": x}, {"a": p})
    torch.testing.assert_close(
        drift_loss({"a": x.expand(-1, -1, 3, -1)}, {"a": p.expand(-1, -1, 3, -1)}), 3 * one
    )
    x2, p2 = torch.cat([x, 5 * x], 2), torch.cat([p, 5 * p], 2)
    apart = drift_loss({"a": x, "b": 5 * x}, {"a": p, "b": 5 * p})
    torch.testing.assert_close(apart, 2 * one)
    assert abs(drift_loss({"a": x2}, {"a": p2}) - apart) > 0.01 * apart


def test_samples_without_an_encoder_are_a_group_with_its_own_importance():
    x, p = torch.randn(2, 2, 6, 1, 4, dtype=F64).unbind()
    raw_x, raw_p = torch.randn(2, 2, 6, 1, 9, dtype=F64).unbind()
    both = drift_loss({"a": x, "vanilla": raw_x}, {"a": p, "vanilla": raw_p}, importance={"vanilla": 0.25})
    torch.testing.assert_close(
        both, drift_loss({"a": x}, {"a": p}) + drift_loss({"v": raw_x}, {"v": raw_p}) / 4
    )


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"pos": ("a",)}, "positives should have the same features, but differ in b"),
        ({"neg": ("a", "b", "c")}, "negatives should have the same features, but differ in c"),
        ({"importance": ("vanila",)}, r"name features \(a, b\), but names vanila"),
    ],
)
def test_features_that_only_one_side_has_are_said(named, said):
    x = torch.randn(2, 3, 1, 4)
    sides = {side: dict.fromkeys(named.get(side, "ab"), x) for side in ("pos", "neg")}
    with pytest.raises(TweenError, match=said):
        drift_loss({"a": x, "b": x}, **sides, importance=dict.fromkeys(named.get("importance", ()), 1.0))


def test_mixed_precision_around_the_loss_changes_nothing():
    x, p = torch.randn(2, 2, 6, 3, 4).unbind()
    plain = drift_loss({"a": x}, {"a": p})
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(drift_loss({"a": x}, {"a": p}), plain, rtol=0, atol=0)


def test_bf16_mixes_almost_alike():
    torch.manual_seed(0)
    x, p = torch.randn(2, 2, 16, 3, 32).unbind()
    x.requires_grad_()
    grads = [
        torch.autograd.grad(drift_loss({"a": x}, {"a": p}, dtype=d), x)[0].flatten()
        for d in (None, torch.bfloat16)
    ]
    assert torch.cosine_similarity(*grads, dim=0) > 0.9999
    assert not grads[0].equal(grads[1])


def test_diagnostics_leave_the_loss_alone_and_measure_the_kernel():
    x, pos, neg, w = made([(4, 5, 2), (2, 3, 1)])
    whole, weights = packed(x, pos, neg, w)
    loss, found = drift_loss(*whole, weights=weights, diagnostics=True)
    assert loss.equal(drift_loss(*whole, weights=weights))
    for name in GROUPS:
        for tau in TEMPERATURES:
            assert 1 <= found[f"{name}/pos_neighbours@{tau:g}"] <= 5
            assert found[f"{name}/v2@{tau:g}"] > 0
        assert found[f"{name}/pos_p10"] < found[f"{name}/pos_p50"] < found[f"{name}/pos_p90"]
        apart, near = (
            drift_loss({name: whole[0][name] + far}, {name: whole[1][name]}, diagnostics=True)[1]
            for far in (9, 0)
        )
        assert apart[f"{name}/mass_ratio@0.02"] < near[f"{name}/mass_ratio@0.02"]


def test_v2_falls_to_zero_at_equilibrium_and_the_loss_does_not():
    p = torch.randn(1, 64, 1, 2, dtype=F64)
    far, near = (drift_loss({"a": p.flip(1) + shift}, {"a": p}, diagnostics=True) for shift in (2, 0.05))
    assert near[1]["a/v2@0.2"] < 0.05 * far[1]["a/v2@0.2"]
    assert near[0] > 1


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((2, 3, 1, 4), (2, 5, 1, 5)), "agree in classes, locations and features"),
        (((2, 3, 1, 4), (3, 5, 1, 4)), "agree in classes"),
        (((2, 3, 4), (2, 5, 4)), "agree in classes"),
    ],
)
def test_shapes_that_do_not_fit_are_said_in_one_sentence(shapes, said):
    with pytest.raises(TweenError, match=said):
        drift_loss(*({"a": torch.randn(shape)} for shape in shapes))


def test_weights_that_do_not_fit_are_said():
    x = torch.randn(2, 3, 4)
    with pytest.raises(TweenError, match=r"one a sample, \(2, 3\), but got \(2, 4\)"):
        drift_field(x, x, weights=Weights(pos=torch.ones(2, 4)))


@pytest.mark.long
def test_compiled_is_the_same():
    x, p = torch.randn(2, 2, 6, 3, 4).unbind()
    torch.testing.assert_close(drift_loss({"a": x}, {"a": p}, compiled=True), drift_loss({"a": x}, {"a": p}))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_the_gpu_agrees_with_the_cpu(dtype):
    torch.manual_seed(0)
    x, p = torch.randn(2, 8, 32, 4, 64).unbind()
    grads = []
    for device, wide in (("cpu", torch.float64), ("cuda", torch.float32)):
        leaf = x.to(device, wide).requires_grad_()
        loss = drift_loss({"a": leaf}, {"a": p.to(device, wide)}, dtype=dtype if device == "cuda" else None)
        grads.append(torch.autograd.grad(loss, leaf)[0].cpu().double().flatten())
    assert (grads[0] - grads[1]).norm() < (1e-3 if dtype is None else 2e-2) * grads[0].norm()
