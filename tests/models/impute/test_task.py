"""What a refiner learns from: the measures, both objectives, padding, and a gradient through whatever decodes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.models.impute.toy import classes, encoder, patch_net, video_net
from tween.models.impute.config import Taps
from tween.models.impute.patches import patches, pictures
from tween.models.impute.task import Objective, RefinerTask, errors, evened, refined

SEEN = Taps(patches=(2,), most=2)


def task(objective=None, net=None, **options):
    objective = objective or Objective(taps=SEEN)
    sample = options.pop("sample", lambda tokens: pictures(tokens, 2, (4, 4)))
    return RefinerTask(
        net or patch_net(), options.pop("encoder", encoder()), objective, sample=sample, **options
    )


def norms(made):
    torch.manual_seed(0)
    terms = made.loss("refiner", classes(), 0)
    sum(v for k, v in terms.items() if "/" not in k).backward()
    return terms, [p.grad.norm() for p in made.modules.parameters() if p.grad is not None]


def test_patches_and_back():
    x = torch.rand(2, 3, 8, 4)
    tokens = patches(x, 2)
    assert tokens.shape == (2, 8, 12)
    assert torch.equal(pictures(tokens, 2, (4, 2)), x)
    torch.testing.assert_close(tokens[0, 1], x[0, :, 0:2, 2:4].flatten())


def test_measures_are_errors_of_the_fill_and_of_the_answer():
    batch = classes()
    terms = task(net=patch_net(live=False)).loss("refiner", batch, 0)
    square = (batch.coarse - batch.truth).square()
    assert terms["interp/mse_missing"] == pytest.approx(float(square[~batch.known].mean()), rel=1e-5)
    assert terms["interp/mse_all"] == pytest.approx(float(square.mean()), rel=1e-5)
    assert terms["refined/mse_missing"] == pytest.approx(float(terms["interp/mse_missing"]), rel=1e-5)
    assert terms["refined/mse_known"] == pytest.approx(float(square[batch.known].mean()), rel=1e-5)
    assert not any(value.requires_grad for name, value in terms.items() if "/" in name)


@pytest.mark.parametrize(("drift", "paired"), [(1.0, 0.0), (0.0, 1.0), (1.0, 10.0)])
def test_each_objective_moves_the_refiner_and_never_the_encoder(drift, paired):
    made = task(Objective(drift=drift, paired=paired, taps=SEEN))
    terms, found = norms(made)
    assert {name for name in terms if "/" not in name} == {
        n for n, w in (("drift", drift), ("paired", paired)) if w
    }
    assert sum(found) > 0
    assert all(p.grad is None for p in made.encoder.parameters())


def test_drifting_follows_the_real_samples():
    """Answers that all positives lie to one side of move to that side."""
    net, batch = patch_net(live=False), classes(u=0)
    batch = replace(
        batch, coarse=torch.full_like(batch.coarse, 0.5), positives=torch.ones_like(batch.positives)
    )
    batch = replace(batch, coarse=batch.coarse + 0.01 * torch.randn_like(batch.coarse))
    made = task(Objective(taps=Taps(patches=(), plain=True)), net, encoder=None)
    made.loss("refiner", batch, 0)["drift"].backward()
    assert net.ends.leave.bias.grad.sum() < 0  # a step against it makes pictures brighter


@pytest.mark.parametrize("taps", [Taps(patches=()), SEEN, Taps(stem=True, locations=True, plain=True)])
def test_drifting_is_the_mean_over_features_however_many(taps):
    """Of three temperatures, each of unit size: 9 where all agree, 3 where they have nothing to do with each other."""
    value = task(Objective(taps=taps)).loss("refiner", classes(g=6, p=8), 0)["drift"]
    assert 1 < value <= 9


def test_padding_changes_nothing():
    batch = classes()
    g, p = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    padded = replace(batch, weights=g.expand(2, 3), positive_weights=p.expand(2, 4))

    def scrambled(b):
        flat = g.bool().repeat(2)
        truth = torch.where(flat[:, None, None], b.truth, torch.rand_like(b.truth))
        coarse = torch.where(flat[:, None, None], b.coarse, torch.rand_like(b.coarse))
        positives = torch.where(
            p.bool()[None, :, None, None, None], b.positives, torch.rand_like(b.positives)
        )
        return replace(b, truth=truth, coarse=coarse, positives=positives)

    made = task(Objective(taps=SEEN, paired=1.0))
    a, b = (made.loss("refiner", x, 0) for x in (padded, scrambled(padded)))
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-4, rtol=1e-4)


def test_a_decoder_in_between_passes_the_gradient_on():
    torch.manual_seed(0)
    decoder = nn.ConvTranspose2d(12, 3, 2, 2).requires_grad_(False)
    batch = classes(d=12)
    batch = replace(batch, positives=torch.rand(2, 4, 12, 4, 4), anything=torch.rand(2, 12, 4, 4))
    made = task(sample=lambda tokens: pictures(tokens, 1, (4, 4)), view=decoder)
    made.loss("refiner", batch, 0)["drift"].backward()
    assert sum(p.grad.norm() for p in made.modules.parameters() if p.grad is not None) > 0


def test_diagnostics_come_on_their_steps_and_change_no_loss():
    made = task(Objective(taps=SEEN, diagnose=5))
    with_them, without = (made.loss("refiner", classes(), step) for step in (5, 6))
    assert {k for k in with_them if k.startswith("drift/")}
    assert not {k for k in without if k.startswith("drift/")}
    torch.testing.assert_close(with_them["drift"], without["drift"])


def test_evened_samples_count_alike_however_much_they_are_off():
    """Halving every error gives a quarter; a sample that is off a hundred times more counts no more."""
    batch = classes()
    off = torch.ones(len(batch.truth), 1, 1)
    off[0] = 100
    batch = replace(
        batch, coarse=batch.truth + off * 0.01 * torch.randn_like(batch.truth) * ~batch.known[..., None]
    )
    half = batch.truth + (batch.coarse - batch.truth) / 2
    assert evened(half, batch, 1e-9) == pytest.approx(0.25, rel=1e-3)
    one = torch.where(off > 1, half, batch.coarse)
    assert evened(one, batch, 1e-9) == pytest.approx(1 - 0.75 / len(off), rel=1e-3)
    assert errors(one, batch)[0] < 0.3 * errors(batch.coarse, batch)[0]
    padded = replace(batch, weights=torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    assert evened(one, padded, 1e-9) == pytest.approx(1, rel=1e-3)


def test_errors_leave_padding_out():
    batch = replace(classes(), weights=torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]))
    rows = batch.weights.flatten().bool()
    missing, known = errors(batch.coarse, batch)
    square = (batch.coarse - batch.truth)[rows].square()
    assert missing == pytest.approx(float(square[~batch.known[rows]].mean()), rel=1e-5)
    assert known == pytest.approx(float(square[batch.known[rows]].mean()), rel=1e-5)


def test_some_samples_are_not_told_their_class_and_times_are_passed_on():
    seen = {}

    class Spy(nn.Module):
        config = video_net().config

        def forward(self, coarse, known, label, level, alpha, noise, **more):
            seen.update(label=label, **more)
            return coarse

    batch = replace(classes(c=2, g=200), times=torch.tensor([0, 4]))
    torch.manual_seed(0)
    refined(Spy(), batch, 0.75)
    assert seen["times"].tolist() == [0, 4]
    assert float((seen["label"] == 3).float().mean()) == pytest.approx(0.75, abs=0.1)
    refined(Spy(), replace(batch, times=None))
    assert torch.equal(seen["label"], torch.arange(2).repeat_interleave(200))


def test_text_is_told_but_for_a_share_of_the_samples():
    told = []

    class Listening(nn.Module):
        config = video_net(text=5).config

        def forward(self, coarse, known, label, level, alpha, noise, text):
            told.append(text)
            return coarse

    torch.manual_seed(0)
    batch = replace(classes(c=8, g=32), text=torch.ones(256, 5))
    for silent in (0.0, 0.5, 1.0):
        refined(Listening(), batch, silent=silent)
    assert [float(text.mean()) for text in told] == [1, pytest.approx(0.5, abs=0.1), 0]
    assert ((told[1] == 0) | (told[1] == 1)).all()
    assert torch.equal(told[1].amin(1), told[1].amax(1))
