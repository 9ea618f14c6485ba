"""Who tells the network how things moved (Exp-2e): the layers themselves, DIS, or a flow network the user has."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.clips import Triples
from tween.data.flow_files import train
from tween.data.mixed import Part, batches
from tween.models.interp.baselines import dis_flow
from tween.recipes.feeds import Feed
from tween.recipes.plan import Schedule

Teacher = Callable[[Triples], Triples]
Estimator = Callable[[Tensor, Tensor], Tensor]
"""(a, b), each `b 3 h w` in [0, 1] -> flow_ab `b 2 h w` in pixels."""


def exact(batch: Triples) -> Triples:
    """What the batch knows of itself: exact flow of layered motion, or of flow files; nothing of plain clips."""
    return batch


def estimated(flow: Estimator) -> Teacher:
    """Flow from the frame at t, which only a teacher sees, into both others, where it is not known exactly."""

    def teach(batch: Triples) -> Triples:
        unknown = (batch.known == 0).nonzero()[:, 0]
        if not len(unknown):
            return batch
        image0, truth, image1 = batch.frames[unknown].unbind(1)
        with torch.no_grad():
            said = torch.cat((flow(truth, image0), flow(truth, image1)), 1).to(batch.flow)
        return replace(
            batch, flow=batch.flow.index_copy(0, unknown, said), known=torch.ones_like(batch.known)
        )

    return teach


def dis(a: Tensor, b: Tensor) -> Tensor:
    """OpenCV's DIS, on the CPU, as many pairs at a time as it has cores."""
    with ThreadPoolExecutor() as pool:
        return torch.cat(
            list(pool.map(lambda pair: dis_flow(*pair)[0], zip(a.split(1), b.split(1), strict=True)))
        )


def given(path: Path) -> Estimator:
    """`flow(a, b)` of a Python file, such as one that wraps FlowFormer++ and its weights.

    Raises:
        TweenError: if the file is not there, fails, has no such function, or that returns another shape.
    """
    if not path.is_file():
        raise TweenError(f"--teacher should be a Python file with flow(a, b), but {path} is not there")
    try:
        flow = runpy.run_path(str(path)).get("flow")
    except Exception as error:
        raise TweenError(f"the teacher {path} should run, but: {type(error).__name__}: {error}") from error
    if not callable(flow):
        raise TweenError(f"the teacher {path} should define flow(a, b), but does not")

    def checked(a: Tensor, b: Tensor) -> Tensor:
        out = flow(a, b)
        if getattr(out, "shape", None) != (len(a), 2, *a.shape[-2:]):
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise TweenError(
                f"the teacher {path} should return b 2 h w pixels for b 3 h w frames, but gave {got}"
            )
        return out

    return checked


def taught(feed: Feed, teach: Teacher) -> Feed:
    """`feed` with the teacher's flow in every batch."""

    def draw(*args: Any) -> Callable[[int], Triples]:
        batch = feed.draw(*args)
        return lambda index: teach(batch(index))

    return replace(feed, draw=draw)


def flow_files(folder: Path, *, workers: int = 8) -> Feed:
    """Triplets below `folder` with the flow in files beside them (see `tween.data.flow_files`)."""
    source = train(folder)

    def draw(
        schedule: Schedule, batch_size: int, seed: int, device: torch.device
    ) -> Callable[[int], Triples]:
        if schedule.ratio[1]:
            raise TweenError(
                "triplets are one set, but this row mixes two; give --data, or --data-path and --x4k-path"
            )
        part = Part(source=source, share=1, size=schedule.main_size)
        return batches([part], batch_size=batch_size, workers=workers, seed=seed, device=device)

    about = {"triplets": str(folder), "with flow": source.taught()}
    return Feed(draw=draw, samples=len(source), about=about)


def teacher(name: str | None, path: Path | None) -> Teacher:
    """The teacher of a row; `path` is the user's.

    Raises:
        TweenError: if the row needs the user's and there is none.
    """
    if name == "given" and path is None:
        raise TweenError(
            "this row needs a flow network of yours; name a Python file with flow(a, b) by --teacher"
        )
    if name in (None, "exact", "file"):
        return exact
    return estimated(dis if name == "dis" else given(path))
