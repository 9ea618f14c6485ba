"""Inputs of the scans, and one measure for value, state and every gradient."""

import torch

NAMES = ("x", "dt", "A", "B", "C", "D", "state")


def inputs(length, h=2, g=1, *, b=2, p=5, n=7, dtype=torch.float64, seed=0):
    """Random inputs of `ssd`; some steps are large enough that the state is all but forgotten."""
    make = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=make, dtype=torch.float64)

    dt = torch.nn.functional.softplus(2 * normal(b, length, h))
    values = {
        "x": normal(b, length, h, p),
        "dt": dt,
        "A": -torch.exp(normal(h)),
        "B": normal(b, length, g, n),
    }
    values |= {"C": normal(b, length, g, n), "D": normal(h), "state": normal(b, h, p, n)}
    return {k: v.to(dtype).requires_grad_() for k, v in values.items()}


def value_state_gradients(function, values, **options):
    """y, last state and the gradient of one fixed random functional of both by every input."""
    y, last = function(**values, **options)
    make = torch.Generator().manual_seed(1)
    total = sum(
        (t.double() * torch.randn(t.shape, generator=make, dtype=torch.float64)).sum() for t in (y, last)
    )
    return (y, last, *torch.autograd.grad(total, list(values.values())))


def close(got, want, tolerance):
    for name, a, b in zip(("y", "last", *NAMES), got, want, strict=True):
        error = (a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-3)
        assert error <= tolerance, f"{name}: relative error {error:.2e}"
