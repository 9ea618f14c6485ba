"""The thesis plan's ablations by name (its sections 4.1.5, 4.2.5, 4.3.5 and 5.5), and a few of our own beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import Any, Literal

from tween.core import TweenError
from tween.losses import CompositeWeights
from tween.models.interp.config import THESIS, NetConfig, ablations
from tween.models.interp.thesis_task import ThesisWeights
from tween.recipes.plan import CURRICULUM

Table = Literal["phase1", "backbone", "phase2", "phase3", "data"]
TABLES: tuple[Table, ...] = ("phase1", "backbone", "phase2", "phase3", "data")
DISTILL = 0.01
"""Weight of the distance to a teacher's flow in Exp-2e, as in RIFE and IFRNet."""
DOUBT = 0.3
"""Of a teacher that may be wrong, per px, as in IFRNet."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One experiment.

    Attributes:
        about: what changes, for the table.
        plan: fields of `recipes.plan.Plan` that it replaces.
        synthetic: share of its batches that is layered motion; None: what all rows are trained with.
        teacher: who supplies flow (see `recipes.teachers`).
        trained: False measures the weights that all rows start from as they are.
        needs_vgg: without VGG-19's weights the row would not be what it says.
    """

    name: str
    about: str
    config: NetConfig
    weights: ThesisWeights = field(default_factory=ThesisWeights)
    plan: dict[str, Any] = field(default_factory=dict)
    synthetic: float | None = None
    teacher: str | None = None
    trained: bool = True
    needs_vgg: bool = False


ABOUT = {
    "exp1a-mamba2-only": "no attention branch",
    "exp1b-gated-attn-only": "no Mamba2 branch",
    "exp1c-hybrid": "both branches",
    "exp1d-mamba1": "Mamba1 for Mamba2",
    "exp1e-flip-scan": "each frame scanned alone",
    "exp1e-published-merge": "the misplaced columns of VFIMamba's code",
    "exp1f-se": "squeeze-excitation for ECA",
    "exp1f-cab": "VFIMamba's CAB for ECA",
    "exp1g-no-gate": "attention without a gate",
    "exp1g-element-gate": "a gate for each channel",
    "exp1h-mhc": "hyper-connections that learn",
    "exp1h-mhc-seed": "hyper-connections by the plan's numbers",
    "exp1h-mhc-lite": "hyper-connections by permutations",
    "exp1i-window7": "windows of 7 x 7",
    "exp1i-window14": "windows of 14 x 14",
    "matvlm-b": "Mamba2 laid out as attention",
    "matvlm-c": "Mamba2 with d_xb",
    "merge-concat": "frames concatenated, not summed",
    "stem-stride2": "finest level at 1/2",
    "stem-stride4": "finest level at 1/4",
    "exp2b-image-warp": "the backbone sees warped images",
    "exp2c-feature-warp": "context features are warped",
    "exp2d-flow-only": "no backbone",
}


def rows(table: Table, base: NetConfig = THESIS) -> list[Row]:
    """The rows of one table, the one that all others are compared with first."""
    made = {"phase1": phase1, "backbone": backbone, "phase2": phase2, "phase3": phase3, "data": data}
    if table not in made:
        raise TweenError(f"there is no table {table!r}; there are {', '.join(made)}")
    return made[table](base)


def phase1(base: NetConfig) -> list[Row]:
    """1a to 1i by switches of the network, 1j by the terms of the loss (5.5); 1j (d) is the base itself."""
    nets = {name: c for name, c in ablations(base).items() if c.phase == 1}
    main = nets.pop("exp1c-hybrid")
    switches = [Row(name=name, about=ABOUT[name], config=c) for name, c in nets.items()]
    terms = {
        "a-lap": (0.0, 0.0),
        "b-lap-vgg": (0.0, 0.005),
        "c-lap-ter": (1.0, 0.0),
        "d-lap-ter-vgg": (1.0, 0.005),
    }
    losses = [
        Row(
            name=f"exp1j-{name}",
            about="loss: " + " + ".join(name.split("-")[1:]),
            config=main,
            weights=ThesisWeights(composite=CompositeWeights(ter=ter, vgg=vgg)),
            needs_vgg=vgg > 0,
        )
        for name, (ter, vgg) in terms.items()
    ]
    return [Row(name="exp1c-hybrid", about=ABOUT["exp1c-hybrid"], config=main), *switches, *losses]


def backbone(base: NetConfig) -> list[Row]:
    """The rows of phase 1 within the network of phase 2, and that network without a backbone.

    Phase 1 alone stood at `blend` after 800 steps, whatever its backbone was: short rows need the flow to move at all.
    """
    made = [
        replace(
            row,
            name=f"flow-{row.name.removeprefix('exp')}",
            config=replace(row.config, phase=2),
            plan={"freeze": 0},  # most of these backbones are new, whatever the rows start from
        )
        for row in phase1(base)
    ]
    without = replace(made[0], name="flow-no-backbone", about=ABOUT["exp2d-flow-only"])
    return [*made, replace(without, config=replace(without.config, flow_only=True))]


def phase2(base: NetConfig) -> list[Row]:
    """2a without flow, 2b image warping, 2c the plan's, 2d without a backbone, 2e with a teacher's flow."""
    nets = {name: c for name, c in ablations(base).items() if c.phase == 2}
    main = nets.pop("exp2c-feature-warp")
    teachers = {"exact": "the layers' own", "dis": "DIS", "file": "flow files", "given": "the teacher given"}
    taught = [
        Row(
            name=f"exp2e-{name}",
            about=f"flow distilled from {of}",
            config=main,
            teacher=name,
            weights=ThesisWeights(distill=DISTILL, doubt=0.0 if name == "exact" else DOUBT),
        )
        for name, of in teachers.items()
    ]
    return [
        Row(name="exp2c-feature-warp", about=ABOUT["exp2c-feature-warp"], config=main),
        Row(
            name="exp2a-phase1",
            about="phase 1 as it is: no flow",
            config=replace(main, phase=1),
            trained=False,
        ),
        *(Row(name=name, about=ABOUT[name], config=c) for name, c in nets.items()),
        *taught,
    ]


def phase3(base: NetConfig) -> list[Row]:
    """3a phase 2 as it is, 3b the large-motion set alone, 3c mixed 2:1, 3d mixed with growing crops (the plan's)."""
    main = replace(base, phase=3)
    kinds = {
        "exp3d-curriculum": ("mixed 2:1, crops 256, 384, 512", {"ratio": (2, 1), "grow": CURRICULUM}),
        "exp3a-phase2": ("phase 2 as it is", {}),
        "exp3b-large-only": ("large motion alone", {"ratio": (0, 1)}),
        "exp3c-mixed": ("mixed 2:1, crops 256", {"ratio": (2, 1)}),
    }
    return [
        Row(name=name, about=about, config=main, plan=plan, trained=bool(plan))
        for name, (about, plan) in kinds.items()
    ]


def data(base: NetConfig) -> list[Row]:
    """What to train on: clips, layered motion, or both."""
    shares = {
        "data-both": ("clips and layers", None),
        "data-clips": ("clips alone", 0.0),
        "data-layers": ("layers alone", 1.0),
    }
    return [
        Row(name=name, about=about, config=replace(base, phase=2), synthetic=share)
        for name, (about, share) in shares.items()
    ]


def chosen(every: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """The base and those whose name fits one of `patterns` (`exp1f*`); all without patterns.

    Raises:
        TweenError: for a pattern that fits none.
    """
    for pattern in patterns:
        if not any(fnmatch(row.name, pattern) for row in every):
            raise TweenError(
                f"no row is called {pattern!r}; there are {', '.join(row.name for row in every)}"
            )
    base, *others = every
    return [base, *(row for row in others if fits(row, patterns))]


def fits(row: Row, patterns: Sequence[str]) -> bool:
    """Whether one of `patterns` names the row; none name every row."""
    return not patterns or any(fnmatch(row.name, pattern) for pattern in patterns)
