"""Drifting in a minute on a CPU: two modes found from anywhere, and digits restored from 12 of their 64 pixels.

python examples/drifting.py [--out drifting.png]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall small operations
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.metrics.frechet import frechet
from tween.ops.drift import drift_loss

STARTS = {"between the modes": (0.0, 0.0, 1.0), "far away": (8.0, 8.0, 1.0), "on one mode": (-2.0, 0.0, 0.05)}
PUBLISHED_FLOOR = 1e-6
CLASSES, EACH, ANCHORS = 10, 32, 12


def mlp(*widths: int) -> nn.Sequential:
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers[:-1])


def fit(net: nn.Module, loss: Callable[[], Tensor], steps: int, rate: float) -> None:
    """Adam on `loss`."""
    optimizer = torch.optim.Adam(net.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def bimodal(n: int) -> Tensor:
    """`n 2`: half around (-2, 0), half around (2, 0), deviation 0.3."""
    side = torch.randint(0, 2, (n, 1)) * 4.0 - 2
    return torch.cat([side, torch.zeros(n, 1)], 1) + 0.3 * torch.randn(n, 2)


def energy(a: Tensor, b: Tensor) -> float:
    """Energy distance of two sets (Szekely and Rizzo, 2013): 0 for one distribution."""
    ab, aa, bb = (torch.cdist(x, y).mean() for x, y in ((a, b), (a, a), (b, b)))
    return float(2 * ab - aa - bb)


def two_modes(start: str, *, floor: float = 0.0, steps: int = 250, n: int = 128, seed: int = 0) -> Tensor:
    """1000 samples of a generator that begins at `start` and drifts to `bimodal`: `1000 2`."""
    torch.manual_seed(seed)
    net = mlp(2, 128, 128, 2)
    x, y, spread = STARTS[start]
    with torch.no_grad():
        net[-1].bias.copy_(torch.tensor([x, y]))
        net[-1].weight.mul_(spread)

    def loss() -> Tensor:
        made, real = net(torch.randn(n, 2)), bimodal(n)
        return drift_loss({"plane": made[None, :, None]}, {"plane": real[None, :, None]}, floor=floor)

    fit(net, loss, steps, 3e-3)
    return net(torch.randn(1000, 2)).detach()


@dataclass(frozen=True, kw_only=True)
class Digits:
    """scikit-learn's 1797 digits of 8 x 8 in [-1, 1], every fourth held out, and a classifier of them."""

    train: Tensor
    labels: Tensor
    test: Tensor
    test_labels: Tensor
    classifier: nn.Sequential

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Two lots of `EACH` of every class, `10 EACH 64`, and the labels of one lot."""
        lots = [self.train[self.labels == c] for c in range(CLASSES)]
        picked = torch.stack([lot[torch.randperm(len(lot))[: 2 * EACH]] for lot in lots])
        return picked[:, :EACH], picked[:, EACH:], torch.arange(CLASSES)[:, None].expand(-1, EACH)

    def far(self, pictures: Tensor) -> float:
        """Frechet distance from the training set in the classifier's last features."""
        with torch.no_grad():
            return frechet(self.classifier[:-1](pictures), self.classifier[:-1](self.train))


def digits(seed: int = 0) -> Digits:
    from sklearn.datasets import load_digits

    torch.manual_seed(seed)
    found = load_digits()
    x = torch.tensor(found.data, dtype=torch.float32) / 8 - 1
    y, held = torch.tensor(found.target), torch.arange(len(x)) % 4 == 0
    classifier = mlp(64, 64, 32, CLASSES)
    fit(classifier, lambda: F.cross_entropy(classifier(x[~held]), y[~held]), 150, 3e-3)
    return Digits(train=x[~held], labels=y[~held], test=x[held], test_labels=y[held], classifier=classifier)


def generated(data: Digits, *, floor: float = 0.0, steps: int = 250, seed: int = 0) -> Tensor:
    """Digits from noise and a class, without pairs: `10 32 64`."""
    torch.manual_seed(seed)
    net = mlp(16 + CLASSES, 128, 128, 64)

    def make(label: Tensor) -> Tensor:
        return net(torch.cat([torch.randn(*label.shape, 16), F.one_hot(label, CLASSES)], -1)).tanh()

    def loss() -> Tensor:
        _, real, label = data.batch()
        return drift_loss({"pixels": make(label)[:, :, None]}, {"pixels": real[:, :, None]}, floor=floor)

    fit(net, loss, steps, 2e-3)
    return make(torch.arange(CLASSES)[:, None].expand(-1, 32)).detach()


def coarse(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures `... 64` with `ANCHORS` random pixels known and the rest their mean by inverse squared distance;
    and which are known."""
    known = torch.rand(pictures.shape).argsort(-1) < ANCHORS
    at = torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0))
    weight = known[..., None, :] / torch.cdist(at, at).square().clamp(min=1e-6)
    return torch.where(known, pictures, (weight @ pictures[..., None])[..., 0] / weight.sum(-1)), known


def contrast(pictures: Tensor) -> float:
    """Mean squared step from a pixel to the next, of pictures `n 64`: what blur takes away."""
    rows = pictures.view(-1, 8, 8)
    return float(rows.diff(dim=1).square().mean() + rows.diff(dim=2).square().mean())


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What became of the test set: pictures, mean squared error where pixels were missing and where they were given,
    Frechet distance, share the classifier reads right."""

    pictures: Tensor
    error: float
    anchors: float
    frechet: float
    right: float


PULLS = {"drift": (1.0, 0.0), "paired": (0.0, 1.0), "both": (1.0, 5.0)}
"""Weights of drifting and of the squared error; those of both pull about equally hard."""


def restored(
    data: Digits, pull: str | None, *, clamp: bool = False, steps: int = 200, seed: int = 0
) -> Restored:
    """Restore the test set by a network trained with `pull`, one of `PULLS`, or None for the coarse fill alone. With
    `clamp` what is given comes out as it went in."""
    torch.manual_seed(seed)
    net = mlp(128 + CLASSES, 256, 256, 64)
    nn.init.zeros_(net[-1].weight)
    drift, paired = PULLS.get(pull, (0.0, 0.0))

    def refine(pictures: Tensor, known: Tensor, label: Tensor) -> Tensor:
        made = pictures + net(torch.cat([pictures, known, F.one_hot(label, CLASSES)], -1))
        return torch.where(known, pictures, made) if clamp else made

    def loss() -> Tensor:
        truth, real, label = data.batch()
        made = refine(*coarse(truth), label)
        total = paired * (made - truth).square().mean()
        return (
            total + drift * drift_loss({"p": made[:, :, None]}, {"p": real[:, :, None]}) if drift else total
        )

    if pull:
        fit(net, loss, steps, 2e-3)
    torch.manual_seed(1)
    filled, known = coarse(data.test)
    with torch.no_grad():
        made = refine(filled, known, data.test_labels) if pull else filled
        right = data.classifier(made).argmax(-1) == data.test_labels
    square = (made - data.test).square()
    return Restored(
        pictures=made,
        error=float(square[~known].mean()),
        anchors=float(square[known].mean()),
        frechet=data.far(made),
        right=float(right.float().mean()),
    )


def panels(data: Digits) -> Iterator[tuple[str, Tensor]]:
    """Title and test pictures of each row, with what was measured."""
    for title, pull in (("inverse distance", None), ("paired L2", "paired"), ("drifting", "drift")):
        found = restored(data, pull, steps=800)
        yield f"{title}: missing MSE {found.error:.2f}, Frechet {found.frechet:.1f}", found.pictures
    yield f"held-out digits: Frechet {data.far(data.test):.1f}", data.test


def main() -> None:
    """Draw both experiments."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    figures = Path(__file__).resolve().parents[1] / "docs" / "figures"
    parser.add_argument("--out", type=Path, default=figures / "drifting.png")
    arguments = parser.parse_args()
    figure = pyplot.figure(figsize=(10, 6.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.25))
    for axes, start in zip(above.subplots(1, 3, sharex=True, sharey=True), STARTS, strict=True):
        for floor, colour, label in (
            (PUBLISHED_FLOOR, "tab:red", "floor 1e-6"),
            (0.0, "tab:blue", "log space"),
        ):
            made = two_modes(start, floor=floor, steps=500)
            axes.scatter(*made.T, s=2, color=colour, label=f"{label}: {energy(made, bimodal(1000)):.3f}")
        axes.set(xlim=(-4, 4), ylim=(-2, 2.4), title=f"begun {start}")
        axes.legend(
            loc="upper center", ncols=2, fontsize=8, markerscale=4, title="energy distance", title_fontsize=8
        )
    for axes, (title, pictures) in zip(below.subplots(4, 1), panels(digits()), strict=True):
        row = pictures[:20].view(20, 8, 8).permute(1, 0, 2).reshape(8, -1)
        axes.imshow(row, cmap="gray", vmin=-1, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    figure.savefig(arguments.out, dpi=110)
    print(arguments.out)


if __name__ == "__main__":
    main()
