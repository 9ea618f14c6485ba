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
    drawn = [torch.randn(t.shape, generator=make, dtype=torch.float64).to(t.device) for t in (y, last)]
    total = sum((t.double() * weight).sum() for t, weight in zip((y, last), drawn, strict=True))
    return (y, last, *torch.autograd.grad(total, list(values.values())))


def close(got, want, tolerance):
    for name, a, b in zip(("y", "last", *NAMES), got, want, strict=True):
        error = (a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-3)
        assert error <= tolerance, f"{name}: relative error {error:.2e}"


def scan_inputs(length, *, b=2, d=6, n=4, dtype=torch.float64):
    """Random inputs of `selective_scan`."""
    make = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=make, dtype=torch.float64)

    delta = torch.nn.functional.softplus(2 * normal(b, length, d))
    values = {"u": normal(b, length, d), "delta": delta, "A": -torch.exp(normal(d, n))}
    values |= {"B": normal(b, length, n), "C": normal(b, length, n), "D": normal(d)}
    return {k: v.to(dtype).requires_grad_() for k, v in values.items()}


def value_and_gradients(function, values, **options):
    """y and the gradient of one fixed random functional of it by every input."""
    y = function(**values, **options)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(
        y.device
    )
    return y, *torch.autograd.grad((y.double() * weight).sum(), list(values.values()))
