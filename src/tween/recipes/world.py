"""The world `doom` from nothing: episodes recorded into memory, the autoencoder, the network, its student, and what
they are worth. Every part can be left out and begun again from what an earlier sitting left."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.episodes import Episodes, windows
from tween.data.record_doom import RATE, Doom, record_in_bulk
from tween.engine import checkpoint, train
from tween.engine.run import Run
from tween.engine.sitting import cut, fitted
from tween.evaluate.world import contact_sheet
from tween.models.stream.config import DOOM, StreamConfig
from tween.models.stream.distill import Matching
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, even
from tween.models.stream.task import Forcing
from tween.models.stream.timeline import frames_of
from tween.nn.vae import SMALL, WanConfig, WanVAE
from tween.recipes import world_judge
from tween.recipes import world_parts as parts
from tween.recipes.stream import beginnings, distil, draws, encoded, stream
from tween.recipes.vae import clips, fidelity, pixels, sample, vae
from tween.zoo.load import place
from tween.zoo.worlds import save_world

HELD_SEED = 1_000_003  # added to that of the recording: of episodes that nothing is trained on


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how large. A part of 0 minutes is not trained: its weights are those in the folder.

    Attributes:
        record: the recording; held-out episodes have another seed.
        episodes, held: how many to learn from, and how many to judge by.
        processes: games played at a time.
        minutes: of autoencoder, network and student.
        steps: likewise, for the whole of a schedule; None: as many as the minutes allow, measured.
        vae, net: sizes.
        length: frames of the clips that the autoencoder learns from.
        learn: how many of them at a time.
        latents: of the clips that the network learns from.
        rollout: of them, those that the student makes at a time.
        stride: frames between the beginnings of those clips.
        batches: of the three.
        rates: peak learning rates of the three.
        many, few: sampling of the pretrained network, and of the student.
        rollouts: of a second, that are judged in the end, and at most as many blocks.
        walks: a minute long each.
        compiled: the network, on a GPU; compiling the autoencoder takes longer than a short sitting wins back.
    """

    record: Doom = field(default_factory=Doom)
    episodes: int = 480
    held: int = 144
    processes: int = 16
    minutes: tuple[float, float, float] = (1.0, 14.0, 4.0)
    steps: tuple[int | None, int | None, int | None] = (None, None, None)
    vae: WanConfig = SMALL
    net: StreamConfig = DOOM
    forcing: Forcing = field(default_factory=lambda: Forcing(shift=2.0, stain=0.3))
    length: int = 65
    learn: int = 17
    latents: int = 21
    rollout: int = 12
    stride: int = 20
    batches: tuple[int, int, int] = (16, 64, 64)
    rates: tuple[float, float, float] = (5e-4, 1e-3, 2e-4)
    many: Sampling = field(default_factory=lambda: even(10, shift=2.0, remember=0.1))
    few: Sampling = field(default_factory=lambda: Sampling(shift=2.0, remember=0.1))
    rollouts: int = 200
    walks: int = 64
    compiled: bool = True
    device: str = "auto"
    runs: Path = Path("runs")


PARTS = ("vae-small", "doom", "doom-student")


def doom(out: Path, plan: Plan) -> dict[str, Any]:
    """Record, train what has minutes, judge, and leave in `out`: half-precision weights of each part, some seconds
    after they come, `metrics.json`, `sheet.png`, and the world itself, `doom-world.safetensors`.

    It ends before the network if that has neither minutes nor weights in `out`, and without a student likewise. The
    world is written when its network is there, and again when all is judged; a student that fails costs only itself.

    Raises:
        TweenError: if the autoencoder has neither, or the held-out episodes lack what they are judged by.
    """
    if not plan.minutes[0] and not (out / f"{PARTS[0]}.safetensors").is_file():
        raise TweenError(f"{out} should hold {PARTS[0]}.safetensors if it gets no minutes; give it some")
    out.mkdir(parents=True, exist_ok=True)
    told = Told(out / "metrics.json")
    train_on, judge_by = recorded(plan, told)
    few = world_judge.held(judge_by, rollouts=min(48, plan.rollouts), blocks=min(48, plan.rollouts))
    codec = autoencoder(train_on, judge_by, plan, out, told)
    if not plan.minutes[1] and not (out / f"{PARTS[1]}.safetensors").is_file():
        return told.facts
    latents = encoded_clips(codec, train_on, plan, told)
    base = network(latents, codec, few, plan, out, told)
    walkable(out, base, codec, plan.many, openings(judge_by))
    student = None
    try:
        student = taught(latents, base, codec, few, plan, out, told)
    except (TweenError, RuntimeError) as error:  # of memory, of a compiler, of numbers that are none
        traceback.print_exc()
        told(student={"failed": str(error).splitlines()[:1]})
    worlds = {"many": (base, plan.many)} | ({"few": (student, plan.few)} if student else {})
    best = judged(worlds, codec, judge_by, plan, out, told)
    net, sampling = worlds[best]
    world = walkable(out, net, codec, sampling, openings(judge_by))
    told(world={"bytes": world.stat().st_size, "is": best})
    return told.facts


def walkable(
    out: Path, net: StreamNet, codec: WanVAE, sampling: Sampling, pictures: Sequence[Tensor]
) -> Path:
    """The world in one file, in half precision; the networks stay as they are."""
    world = out / "doom-world.safetensors"
    half = deepcopy(net).half(), deepcopy(codec).half()
    save_world(world, *half, sampling, name="doom", rate=RATE, pictures=pictures)
    return world


class Told:
    """What is known so far, printed and kept in a file as it comes."""

    def __init__(self, path: Path) -> None:
        self.path, self.facts = path, {}

    def __call__(self, **facts: Any) -> None:
        self.facts |= facts
        self.path.write_text(json.dumps(self.facts, indent=1, default=str) + "\n")
        print(json.dumps(facts, default=str), flush=True)


def recorded(plan: Plan, told: Told) -> tuple[Episodes, Episodes]:
    """Episodes to learn from, on the device, and to judge by, in memory."""
    begun = time.perf_counter()
    other = replace(plan.record, seed=plan.record.seed + HELD_SEED)
    held = record_in_bulk(other, episodes=plan.held, processes=plan.processes)
    train_on = record_in_bulk(plan.record, episodes=plan.episodes, processes=plan.processes)
    spent, frames = time.perf_counter() - begun, (plan.episodes + plan.held) * plan.record.frames
    told(recorded={"frames": frames, "seconds": spent, "frames a second": frames / spent})
    return replace(train_on, frames=pixels(train_on, plan.device)), held


def autoencoder(train_on: Episodes, held: Episodes, plan: Plan, out: Path, told: Told) -> WanVAE:
    """The autoencoder, frozen, in the precision that sessions run in."""
    shown = sample(held, length=2 * plan.length - 1, device=plan.device)
    run = vae(
        batch=clips(train_on, length=plan.length, batch_size=plan.batches[0], device=plan.device),
        held=shown,
        config=plan.vae,
        batch_size=plan.batches[0],
        learn=plan.learn,
        lr=plan.rates[0],
        **_common(plan),
    )
    done = sitting(run, plan.minutes[0], plan.steps[0], out)
    net = parts.frozen(parts.codec(out / f"{run.name}.safetensors", plan.device))
    more = sample(held, length=2 * plan.length - 1, count=32, device=plan.device)
    told(autoencoder=done | fidelity(torch.nn.ModuleDict({"vae": net}), 0, clips=more))
    return net


def encoded_clips(codec: WanVAE, train_on: Episodes, plan: Plan, told: Told) -> Any:
    """All that the network learns from."""
    begun = time.perf_counter()
    length = frames_of(plan.latents)
    found = encoded(codec, train_on, length=length, stride=plan.stride, device=plan.device)
    told(clips={"count": len(found.keys), "seconds": time.perf_counter() - begun})
    return found


def network(
    latents: Any, codec: WanVAE, few: world_judge.Held, plan: Plan, out: Path, told: Told
) -> StreamNet:
    """The network, pretrained, its average; in full precision."""
    run = stream(
        batch=draws(latents, batch_size=plan.batches[1]),
        config=plan.net,
        forcing=plan.forcing,
        validate=world_judge.validation(codec, few, plan.many, walks=max(1, plan.walks // 4)),
        name=PARTS[1],
        batch_size=plan.batches[1],
        lr=plan.rates[1],
        compiled=plan.compiled and place(plan.device).type == "cuda",
        **_common(plan),
    )
    done = sitting(run, plan.minutes[1], plan.steps[1], out)
    told(network=done)
    return parts.network(out / f"{run.name}.safetensors", plan.device)


def taught(
    latents: Any, base: StreamNet, codec: WanVAE, few: world_judge.Held, plan: Plan, out: Path, told: Told
) -> StreamNet | None:
    """The student where it got minutes, or is there from an earlier sitting; of all its states, the best."""
    kept = out / f"{PARTS[2]}.safetensors"
    if not plan.minutes[2] and not kept.is_file():
        return None
    untaught = world_judge.uncompiled(base, codec.mean.dtype)
    before = world_judge.measured(world_judge.going_on(untaught, codec, plan.few), few)
    least = before["obeyed"] - 0.03
    run = distil(
        batch=draws(beginnings(latents, plan.rollout), batch_size=plan.batches[2]),
        teacher=base,
        matching=Matching(sampling=plan.few, shift=plan.forcing.shift, critic_lr=0.5),
        validate=world_judge.validation(codec, few, plan.few, least=least, walks=max(1, plan.walks // 4)),
        best_key="kept",
        name=PARTS[2],
        batch_size=plan.batches[2],
        lr=plan.rates[2],
        **_common(plan),
    )
    done = sitting(run, plan.minutes[2], plan.steps[2], out)
    told(student=done | {"before": before})
    return parts.network(kept, plan.device)


def judged(
    worlds: dict[str, tuple[StreamNet, Sampling]],
    codec: WanVAE,
    held: Episodes,
    plan: Plan,
    out: Path,
    told: Told,
) -> str:
    """Judge each world, draw them all, and name the best: of those that obey, the one whose pictures stay nearest."""
    on = world_judge.held(held, rollouts=plan.rollouts, blocks=min(120, plan.rollouts))
    minute = min(round(60 * RATE), plan.record.frames)
    rows, found = {}, {}
    for name, (net, sampling) in worlds.items():
        half = world_judge.uncompiled(net, codec.mean.dtype)
        world = world_judge.going_on(half, codec, sampling)
        stays, walk = world_judge.lasting(
            world, on, codec, early=min(round(5 * RATE), minute // 2), late=minute, count=plan.walks, batch=64
        )
        found[name] = world_judge.measured(world, on) | vars(stays) | {"stays": stays.stays()}
        rows |= world_judge.shown(world, on, name) | {f"{name}: walk of {minute} frames": walk}
    contact_sheet(out / "sheet.png", dict(sorted(rows.items())))
    real = vars(world_judge.undrifted(on.episodes, codec, count=plan.walks))
    told(judged=found, real={"obeyed": on.real, "thresholds": vars(on.thresholds)} | real)
    return max(found, key=lambda name: (found[name]["obeyed"] >= OBEYS, -found[name]["frechet"][1]))


OBEYS = 0.95  # share of rollouts


def openings(episodes: Episodes, count: int = 8) -> list[Tensor]:
    """Pictures to begin with, each of another episode: those after which the player came farthest in a second."""
    second = round(RATE)
    n, first = windows(episodes, second + 1, stride=second).T
    x = episodes.pose[..., :2]
    far = np.hypot(*(x[n, first + second] - x[n, first]).T)
    best = {int(n[i]): int(first[i]) for i in np.argsort(far)}  # the last of an episode is its best
    chosen = list(best.items())[::-1][:count]
    return [
        torch.from_numpy(episodes.frames[k, i : i + 1])[0].movedim(-1, 0).float() / 255 for k, i in chosen
    ]


def _common(plan: Plan) -> dict[str, Any]:
    precision = "bf16" if place(plan.device).type == "cuda" else "fp32"
    return {"device": plan.device, "precision": precision, "runs": plan.runs}


def sitting(run: Run, minutes: float, steps: int | None, out: Path) -> dict[str, Any]:
    """Train `run` for so long, or not at all where its weights are in `out`, going on where it stopped: from its own
    folder, else from those weights. What it came to."""
    kept, begun = out / f"{run.name}.safetensors", time.monotonic()
    if not minutes:
        return {"step": checkpoint.header(kept)["step"], "minutes": 0.0}
    own = (run.folder / "last.safetensors").is_file()
    alone = (
        len(run.task.modules) == 1
    )  # a student's critic is not kept: without its own folder it begins anew
    resume = kept if alone and kept.is_file() and not own else True
    with keeping(run, kept):
        report = (
            fitted(run, minutes, resume) if steps is None else train(cut(run, steps, minutes), resume=resume)
        )
    spent = (time.monotonic() - begun) / 60
    about = {"step": report.step, "minutes": spent, "samples a second": report.samples_per_s}
    return about | {"best": report.best, "skipped": report.skipped} | report.metrics


@contextmanager
def keeping(run: Run, kept: Path, seconds: float = 20.0) -> Iterator[None]:
    """In the block, and at its end, `kept` follows the run's checkpoints in half precision."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            keep(run, kept)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        keep(run, kept)


def keep(run: Run, kept: Path) -> None:
    """Write the best of the run's weights to `kept`, or its last where none is best; of modules, the first alone: a
    critic is not kept."""
    source = result(run)
    if not source.is_file() or (kept.is_file() and kept.stat().st_mtime >= source.stat().st_mtime):
        return
    first = next(iter(run.task.modules))
    values = {
        f"weights/{k}": v.half() for k, v in checkpoint.weights(source).items() if k.startswith(f"{first}.")
    }
    head = checkpoint.header(source)
    checkpoint.write(kept, values, {"kind": "lean", "step": head["step"], "config": head["config"]})


def result(run: Run) -> Path:
    """The checkpoint that counts: the best where one is kept, else the last."""
    best = run.folder / "best.safetensors"
    return best if run.best_key and best.is_file() else run.folder / "last.safetensors"


def finished(path: Path, run: Run, codec: WanVAE, sampling: Sampling, episodes: Episodes) -> None:
    """What a run of `tween.recipes.stream` came to, as a world in half precision in the file `path`."""
    net, rate = parts.network(result(run), "cpu"), Fraction(episodes.about[0]["rate"])
    save_world(
        path, net.half(), codec.half(), sampling, name=path.stem, rate=rate, pictures=openings(episodes)
    )
