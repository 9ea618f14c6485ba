"""What the flow losses must and must not see."""

import torch

from tween.losses import distillation, flow_epe, flow_smoothness, teacher_distillation


def test_flow_epe_in_pixels():
    truth = torch.zeros(1, 4, 8, 8)
    flow = torch.tensor([3.0, 4, 0, 0]).view(1, 4, 1, 1).expand(1, 4, 8, 8)
    torch.testing.assert_close(flow_epe(flow, truth), torch.tensor((5 + 1e-3) / 2))


def test_flow_epe_ignores_what_is_not_known():
    flow = torch.zeros(1, 4, 8, 8, requires_grad=True)
    truth = torch.full((1, 4, 8, 8), float("nan"))
    truth[:, :2, :4] = 3.0
    valid = torch.zeros(1, 2, 8, 8)
    valid[:, 0, :4] = 1
    loss = flow_epe(flow, truth, valid)
    torch.testing.assert_close(loss, torch.tensor(18.0).sqrt())
    loss.backward()
    assert flow.grad.isfinite().all()
    assert flow.grad[:, 2:].abs().sum() == flow.grad[:, :, 4:].abs().sum() == 0
    assert flow_epe(flow, truth, torch.zeros(1, 1, 8, 8)) == 0


def test_smoothness_forgives_a_change_of_flow_at_an_edge():
    flow = torch.zeros(1, 2, 8, 8)
    flow[..., 4:] = 2.0
    flat, edge = torch.full((1, 3, 8, 8), 0.5), torch.full((1, 3, 8, 8), 0.5)
    edge[..., 4:] = 0.6
    torch.testing.assert_close(flow_smoothness(flow, flat), torch.tensor(2 / 7))
    assert flow_smoothness(flow, edge) < 1e-4 * flow_smoothness(flow, flat)
    assert flow_smoothness(flow, edge, edge=1.0) > 0.9 * flow_smoothness(
        flow, flat
    )  # why the constant is there
    assert flow_smoothness(flow.transpose(2, 3), flat) == flow_smoothness(flow, flat)


def test_distillation_only_where_the_teacher_is_better():
    target = torch.zeros(1, 3, 4, 4)
    student, teacher = torch.full_like(target, 0.1), torch.full_like(target, 0.2)
    teacher[..., :2] = 0.05
    flow = torch.zeros(1, 4, 4, 4, requires_grad=True)
    teacher_flow = torch.full((1, 4, 4, 4), 3.0, requires_grad=True)
    loss = distillation(flow, teacher_flow, student, teacher, target)
    torch.testing.assert_close(loss, torch.tensor(1.5))
    loss.backward()
    assert teacher_flow.grad is None
    assert (flow.grad[..., :2] < 0).all()
    assert (flow.grad[..., 2:] == 0).all()


def test_distillation_of_equal_flows_has_a_finite_gradient():
    flow = torch.zeros(1, 4, 4, 4, requires_grad=True)
    ones = torch.ones(1, 3, 4, 4)
    distillation(flow, torch.zeros(1, 4, 4, 4), ones, 0 * ones, 0 * ones).backward()
    assert flow.grad.isfinite().all()


def test_an_exact_teacher_pulls_as_charbonnier_does():
    g = torch.Generator().manual_seed(0)
    flow, teacher = 5 * torch.randn(2, 1, 4, 6, 7, generator=g)
    expected = ((flow - teacher) ** 2 + 1e-6).sqrt().mean()
    torch.testing.assert_close(teacher_distillation(flow, teacher, doubt=0.0), expected)


def test_a_doubted_teacher_pulls_less_the_farther_it_is():
    flow = torch.tensor([0.5, 2.0, 8.0]).view(1, 1, 1, 3).repeat(1, 2, 1, 1).requires_grad_(True)
    loss = teacher_distillation(flow, torch.zeros(1, 2, 1, 3))
    d, p = torch.tensor([0.5, 2.0, 8.0]), torch.exp(-0.3 * 2**0.5 * torch.tensor([0.5, 2.0, 8.0]))
    torch.testing.assert_close(loss, ((d**2 + (10 ** ((1 - 10 * p) / 3)) ** 2) ** (p / 2)).mean())
    loss.backward()
    pull = flow.grad[0, 0, 0].tolist()
    assert pull[0] > pull[1] > pull[2] > 0


def test_a_teacher_is_heard_where_it_is_valid():
    flow = torch.zeros(1, 4, 4, 4, requires_grad=True)
    teacher = torch.full((1, 4, 4, 4), float("nan"), requires_grad=True)
    valid = torch.zeros(1, 2, 4, 4)
    valid[:, 0, :2] = 1
    loss = teacher_distillation(
        flow, torch.where(valid.repeat_interleave(2, 1) > 0, 3.0, teacher), valid, doubt=0.0
    )
    torch.testing.assert_close(loss, torch.tensor(9 + 1e-6).sqrt())
    loss.backward()
    assert flow.grad.isfinite().all()
    assert (flow.grad[:, :2, :2] < 0).all()
    assert flow.grad[:, 2:].abs().sum() == flow.grad[:, :, 2:].abs().sum() == 0
    assert teacher.grad is None
