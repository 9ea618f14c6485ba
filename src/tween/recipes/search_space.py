"""What the thesis plan searches in each phase (its sections 6.1, 6.2 and 6.5), and what a find means to the recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tween.core import TweenError
from tween.losses import CompositeWeights
from tween.models.interp.config import THESIS, NetConfig, with_block
from tween.models.interp.thesis_task import ThesisWeights
from tween.recipes.plan import CURRICULUM, PLANS, Phase

PASS, LOOK = 35.0, 33.0  # dB on Vimeo90K


class Trial(Protocol):
    """The part of an Optuna trial that suggests."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int) -> int: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


Suggest = Callable[[Trial], Any]
SPACE: dict[str, Suggest] = {
    "lr": lambda t: t.suggest_float("lr", 1e-5, 5e-4, log=True),
    "batch_size": lambda t: t.suggest_categorical("batch_size", [2, 4, 8]),
    "weight_decay": lambda t: t.suggest_float("weight_decay", 1e-5, 1e-3, log=True),
    "warmup_steps": lambda t: t.suggest_int("warmup_steps", 500, 5000),
    "loss_vgg_weight": lambda t: t.suggest_float("loss_vgg_weight", 0.001, 0.1, log=True),
    "loss_ter_weight": lambda t: t.suggest_float("loss_ter_weight", 0.1, 2.0, log=True),
    "window_size": lambda t: t.suggest_categorical("window_size", [7, 8]),
    "use_ecab": lambda t: t.suggest_categorical("use_ecab", [True, False]),
    "use_mhc": lambda t: t.suggest_categorical("use_mhc", [True, False]),
    "min_lr_ratio": lambda t: t.suggest_float("min_lr_ratio", 0.01, 0.2),
    "freeze_epochs": lambda t: t.suggest_int("freeze_epochs", 0, 100),
    "curriculum_T": lambda t: t.suggest_int("curriculum_T", 10, 50),
    "mixed_ratio": lambda t: t.suggest_categorical("mixed_ratio", ["1:1", "2:1", "3:1", "4:1"]),
}
"""The table of 6.2; then those of 6.5 that it gives no range for, in epochs of the full-length phase."""

WHOLE = tuple(list(SPACE)[:10])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A phase's search: what is searched, how many trials, how long each."""

    focus: tuple[str, ...]
    trials: int
    epochs: int = 30

    def names(self, *, whole: bool) -> tuple[str, ...]:
        """What 6.5 names for the phase; with `whole` all of 6.2 as well."""
        return tuple(dict.fromkeys((*self.focus, *(WHOLE if whole else ()))))


SEARCHES: dict[Phase, Plan] = {
    1: Plan(focus=("lr", "weight_decay", "use_ecab", "use_mhc"), trials=30),
    2: Plan(focus=("lr", "freeze_epochs", "loss_vgg_weight"), trials=20),
    3: Plan(focus=("lr", "curriculum_T", "mixed_ratio"), trials=15),
}


def gate(psnr: float | None, *, force: bool) -> str:
    """The rule of 6.1 on the baseline's PSNR in dB on Vimeo90K: what it says, where the search may go on.

    Raises:
        TweenError: below 35 dB, or without a baseline, unless forced.
    """
    if psnr is None:
        said = f"a search begins once a baseline has {PASS:g} dB on Vimeo90K: name it by --baseline"
    elif psnr >= PASS:
        return f"baseline {psnr:.2f} dB on Vimeo90K, at least {PASS:g}: search"
    elif psnr >= LOOK:
        said = (
            f"the baseline has {psnr:.2f} dB on Vimeo90K, {LOOK:g} to {PASS:g}: first look at its loss curve, "
            f"gradients and learning rate by hand"
        )
    else:
        said = f"the baseline has {psnr:.2f} dB on Vimeo90K, below {LOOK:g}: network or code have a fault to mend"
    if force:
        return f"{said} (forced)"
    raise TweenError(f"{said}, or search all the same with --force")


def arguments(
    found: Mapping[str, Any], phase: Phase, *, base: NetConfig = THESIS, epochs: int | None = None
) -> dict[str, Any]:
    """Searched values as arguments of `recipes.thesis.thesis`.

    Args:
        epochs: of a trial; what is counted in epochs shrinks with them. None: the full-length phase.
    """
    plan = PLANS[phase]
    share = 1.0 if epochs is None else epochs / plan.epochs
    lr = found.get("lr", plan.lr)
    plan = replace(
        plan,
        epochs=epochs or plan.epochs,
        lr=lr,
        min_lr=lr * found.get("min_lr_ratio", plan.min_lr / plan.lr),
        weight_decay=found.get("weight_decay", plan.weight_decay),
        warmup=found.get("warmup_steps", plan.warmup),
        freeze=round(share * found.get("freeze_epochs", plan.freeze)),
        every=max(1, round(share * found.get("curriculum_T", plan.every))),
        ratio=tuple(map(int, found["mixed_ratio"].split(":"))) if "mixed_ratio" in found else plan.ratio,
        grow=CURRICULUM if phase == 3 else plan.grow,
    )
    ter, vgg = found.get("loss_ter_weight", 1.0), found.get("loss_vgg_weight", 0.005)
    wanted = {"phase": phase, "config": network(found, base), "plan": plan}
    wanted["weights"] = ThesisWeights(composite=CompositeWeights(ter=ter, vgg=vgg))
    return wanted | ({"batch_size": found["batch_size"]} if "batch_size" in found else {})


def network(found: Mapping[str, Any], base: NetConfig) -> NetConfig:
    """`base` with the switches that were searched; without ECAB the channel attention is VFIMamba's CAB."""
    switches: dict[str, Any] = {}
    if "use_ecab" in found:
        switches["channel_attention"] = "eca" if found["use_ecab"] else "cab"
    if "use_mhc" in found:
        switches["residual"] = "mhc" if found["use_mhc"] else "plain"
    if "window_size" in found:
        switches["window"] = found["window_size"]
    return with_block(base, **switches)
