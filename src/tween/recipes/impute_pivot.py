"""The image pivot in one sitting: an encoder, a judge, refiners by each objective and seed, and what they are worth."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from tween.data.labelled import Labelled
from tween.engine import checkpoint, sitting, train
from tween.engine.run import Run
from tween.evaluate import impute as measure
from tween.models.impute.config import PIVOT, SEED, EncoderConfig, PatchConfig, Taps, Trunk
from tween.models.impute.encoder import Encoder
from tween.models.impute.masks import nested, patch_order
from tween.models.impute.net import PatchRefiner
from tween.models.impute.patches import patches
from tween.models.impute.task import Objective
from tween.recipes import impute, impute_feeds, impute_pages
from tween.recipes.impute_feeds import PATCH_FILLS, Dealing, Keys
from tween.zoo.load import place

METHODS: dict[str, tuple[Objective, dict[str, Any]]] = {
    "drift": (Objective(), {}),
    "drift-clamp": (Objective(), {"clamp": True}),
    "paired": (Objective(drift=0.0, paired=1.0), {}),
}
"""Objective, and what is changed of the refiner's trunk. The first that is asked for sets all steps."""

MORE: dict[str, tuple[Objective, dict[str, Any]]] = {
    "drift-paired": (Objective(paired=100.0), {"clamp": True}),  # gradients of both are of about one size
    "paired-clamp": (Objective(drift=0.0, paired=1.0), {"clamp": True}),
    "drift-plain": (Objective(taps=Taps(plain=True)), {}),
    "drift-style": (Objective(), {"style": 32}),
    "drift-explicit": (Objective(), {"explicit": True}),
    "drift-clean": (Objective(), {"residual": False}),
}
"""Ablations of the first."""

TAPS = {"paper": PIVOT, "seed": SEED}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how large.

    Attributes:
        minutes: of the encoder, of the judge, and of a refiner by the first method; the others take as many steps.
        steps: instead of those minutes, where given.
        seeds: of each refiner.
        shares: of patches that are given; a refiner learns them all.
        fill: what refiners begin with.
        methods: of `METHODS` and `MORE`.
        taps: the features that drift.
        lr: of refiners.
        reuse: encoder and judge that lie in `runs` stay as they are.
        held: pictures to measure on, of the test split.
    """

    minutes: tuple[float, float, float] = (1.0, 0.7, 0.6)
    steps: tuple[int | None, int | None, int | None] = (None, None, None)
    seeds: int = 2
    shares: tuple[float, ...] = (0.125, 0.25, 0.5)
    fill: str = "idw"
    patch: int = 4
    methods: tuple[str, ...] = tuple(METHODS)
    taps: Taps = PIVOT
    lr: float = 8e-4
    reuse: bool = False
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    trunk: Trunk = field(default_factory=Trunk)
    dealing: Dealing = field(default_factory=Dealing)
    batch_size: int = 512
    held: int = 10_000
    precision: str = "bf16"
    device: str = "auto"
    runs: Path = Path("runs")


def pivot(learned: Labelled, held: Labelled, plan: Plan, out: Path) -> dict[str, Any]:
    """Train all, measure all, and leave in `out`: keypatches.json, keypatches.md, keypatches.png, and in half
    precision the encoder and the first seed's refiners. All methods take turns, so that what is written after each
    seed compares them all."""
    begun, device = time.monotonic(), place(plan.device)
    learned, held = learned.to(device), some(held, plan.held).to(device)
    encoder, judge = (classifier(learned, plan, i) for i in (0, 1))
    real = measure.judged(judge.vector, some(learned, len(held)).pictures)
    facts = {
        "encoder accuracy": accuracy(encoder, held),
        "judge accuracy": accuracy(judge, held),
        "pictures": len(held),
        "floor": measure.frechet(measure.judged(judge.vector, held.pictures), real),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
    }
    nets: dict[str, list[PatchRefiner]] = {method: [] for method in plan.methods}
    steps, found = plan.steps[2], {}
    for seed in range(plan.seeds):
        for method in nets:
            run = refiner(learned, encoder, plan, method, seed)
            steps = steps or affordable(run, plan.minutes[2])
            trained(run, plan.minutes[2], steps)
            nets[method].append(impute.read_refiner(run.folder / "last.safetensors", plan.device))
        facts |= {"steps": steps, "minutes": (time.monotonic() - begun) / 60}
        found = {"facts": facts, "table": measured(nets, held, judge, real, plan)}
        write(out, found)
        if seed == 0:
            sheet(nets, held, plan).save(out / "keypatches.png")
            for name in ("keypatches-encoder", *(f"keypatches-{method}-0" for method in nets)):
                checkpoint.lean(plan.runs / name / "last.safetensors", out / f"{name}.safetensors")
    seen = held.pictures, held.labels, len(held.classes)
    impute_pages.of_pictures(out, encoder, seen, plan.taps, plan.dealing)
    return found


def some(data: Labelled, count: int) -> Labelled:
    """So many pictures of all classes."""
    chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:count].to(
        data.labels.device
    )
    return replace(data, pictures=data.pictures[chosen], labels=data.labels[chosen])


def write(out: Path, found: dict[str, Any]) -> None:
    """What was measured, for programs and for people."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "keypatches.json").write_text(json.dumps(found, indent=1))
    (out / "keypatches.md").write_text(measure.markdown(found["table"], found["facts"]["floor"]) + "\n")


def classifier(data: Labelled, plan: Plan, i: int) -> Encoder:
    """The encoder (0), or the judge (1): half as wide and of another seed, so that nothing was trained to please it."""
    config = replace(plan.encoder, classes=len(data.classes))
    config = replace(config, width=config.width // 2) if i else config
    run = impute.classifier(
        impute_feeds.pictures(data.pictures, data.labels, batch_size=plan.batch_size),
        config,
        name=("keypatches-encoder", "keypatches-judge")[i],
        device=plan.device,
        seed=i,
        batch_size=plan.batch_size,
        precision=plan.precision,
        ema=0.995,
        runs=plan.runs,
    )
    if not (plan.reuse and (run.folder / "last.safetensors").is_file()):
        trained(run, plan.minutes[i], plan.steps[i])
    return impute.read_encoder(run.folder / "last.safetensors", plan.device)


def refiner(data: Labelled, encoder: Encoder, plan: Plan, method: str, seed: int) -> Run:
    """One run."""
    objective, changes = (METHODS | MORE)[method]
    objective = replace(objective, taps=replace(plan.taps, plain=plan.taps.plain or objective.taps.plain))
    side, dealing = data.pictures.shape[-1] // plan.patch, plan.dealing
    dealing = replace(dealing, classes=min(dealing.classes, len(data.classes)))
    counts = [round(share * side**2) for share in plan.shares]
    batch = impute_feeds.keypatches(
        data.pictures,
        data.labels,
        classes=len(data.classes),
        dealing=dealing,
        keys=Keys(counts=counts, fill=PATCH_FILLS[plan.fill]),
        patch=plan.patch,
        seed=seed,
    )
    trunk = replace(plan.trunk, classes=len(data.classes), **changes)
    return impute.refiner(
        batch,
        PatchConfig(grid=(side, side), values=3 * plan.patch**2, trunk=trunk),
        encoder,
        objective,
        patch=plan.patch,
        lr=plan.lr,
        name=f"keypatches-{method}-{seed}",
        device=plan.device,
        seed=seed,
        batch_size=dealing.classes * dealing.generated,
        precision=plan.precision,
        runs=plan.runs,
    )


def affordable(run: Run, minutes: float) -> int:
    """Steps that the minutes allow, by a trial that is thrown away: all refiners shall have one schedule."""
    trial = replace(run, name=f"{run.name}-trial")
    train(trial, resume=False, until=sitting.WARM)
    report = train(trial, resume=True, until=3 * sitting.WARM)
    return max(2, int(60 * minutes * report.samples_per_s / run.batch_size))


def trained(run: Run, minutes: float, steps: int | None) -> int:
    """Train for so many steps, or as many as the minutes allow; how many that were."""
    if steps is None:
        return sitting.fitted(run, minutes, True).step
    optim = replace(run.optim, warmup=min(500, max(1, steps // 10)))
    return train(replace(run, steps=steps, optim=optim)).step


@torch.no_grad()
def accuracy(net: Encoder, data: Labelled) -> float:
    """Share of pictures whose class is told."""
    right = [
        (net(x.float() / 255).argmax(1) == y).float()
        for x, y in zip(data.pictures.split(500), data.labels.split(500), strict=True)
    ]
    return float(torch.cat(right).mean())


def measured(
    nets: dict[str, list[PatchRefiner]],
    held: Labelled,
    judge: Encoder,
    real: Tensor,
    plan: Plan,
) -> dict[str, dict[str, Any]]:
    """Share -> method -> summary; the fills by themselves come first."""
    side = held.pictures.shape[-1] // plan.patch
    table: dict[str, dict[str, Any]] = {}
    for share in plan.shares:
        row = table[f"{share:.1%}"] = {}

        def score(refine: list[measure.Refine], fill: str, share: float = share) -> measure.Score:
            return measure.score(
                refine,
                (held.pictures, held.labels),
                round(share * side**2),
                fill=PATCH_FILLS[fill],
                patch=plan.patch,
                judge=judge.vector,
                real=real,
            )

        for name, fill in (("IDW", "idw"), ("harmonic", "laplacian")):
            row[name] = measure.summary([score([measure.untouched], fill)])
        for method, found in nets.items():
            answers = [[measure.by(net, seed=i) for i in range(styles(net))] for net in found]
            row[method] = measure.summary([score(refine, plan.fill) for refine in answers])
    return table


def styles(net: PatchRefiner) -> int:
    """How many answers to ask for."""
    return 2 if net.config.trunk.style else 1


@torch.no_grad()
def sheet(nets: dict[str, list[PatchRefiner]], held: Labelled, plan: Plan, count: int = 12) -> Image.Image:
    """For the sparsest share: what is given, its fill, every method's answer and the truth, a column a picture."""
    picked = torch.linspace(0, len(held) - 1, count).round().long().to(held.labels.device)
    real, labels = held.pictures[picked].float() / 255, held.labels[picked]
    truth = patches(real, plan.patch)
    generator = torch.Generator().manual_seed(1)
    few = round(min(plan.shares) * truth.shape[1])
    known = nested(patch_order(*truth.shape[:2], generator=generator), few).to(truth.device)
    rows = {"given": torch.where(known[..., None], truth, 0.5)}
    rows |= {
        name: PATCH_FILLS[fill](truth, known) for name, fill in (("IDW", "idw"), ("harmonic", "laplacian"))
    }
    coarse = PATCH_FILLS[plan.fill](truth, known)
    rows |= {method: measure.by(found[0])(coarse, known, labels) for method, found in nets.items()}
    return drawn(
        {name: measure.seen_as(made, real, plan.patch) for name, made in (rows | {"truth": truth}).items()}
    )


def drawn(rows: dict[str, Tensor], enlarge: int = 2, margin: int = 90) -> Image.Image:
    """Rows of pictures `n 3 h w` with their names."""
    n, _, h, w = next(iter(rows.values())).shape
    h, w = enlarge * h, enlarge * w
    page = Image.new("RGB", (margin + n * (w + 2), len(rows) * (h + 2)), "white")
    pen = ImageDraw.Draw(page)
    for i, (name, row) in enumerate(rows.items()):
        pen.text((4, i * (h + 2) + h // 2 - 6), name, "black")
        for j, picture in enumerate((row * 255).round().byte().cpu().permute(0, 2, 3, 1).numpy()):
            image = Image.fromarray(picture).resize((w, h), Image.Resampling.NEAREST)
            page.paste(image, (margin + j * (w + 2), i * (h + 2)))
    return page
