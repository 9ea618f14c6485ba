"""A recording: the frames as MP4, and beside it a diary that lives them again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from tween.core import Frame, TweenError
from tween.infer.diary import Entry, Opening, written
from tween.infer.film import filming
from tween.infer.walk import Block
from tween.infer.world import World


class Recorder:
    """Writes the blocks it is given, from `first` (a frame's number) on. The files get their names at the `end`.

    Raises:
        TweenError: if the folder cannot be written, or the disk is full; nothing is left behind then.
    """

    def __init__(self, folder: Path, world: World, first: int) -> None:
        self.world, self.first, self.frames = world, first, 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TweenError(
                f"recordings should go to {folder}, but {error.strerror}; choose another"
            ) from None
        self.video = _free(folder, f"{Path(world.name).stem}-{datetime.now():%Y%m%d-%H%M%S}")
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(filming(self.video, world, preset="veryfast"))

    def write(self, block: Block) -> None:
        """Film a block."""
        try:
            for frame in block.frames:
                self._writer.write(
                    Frame(time=frame.time - self.first / self.world.rate, rgb=frame.rgb, source=False)
                )
                self.frames += 1
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise

    def end(self, opening: Opening, entries: Sequence[Entry]) -> list[Path]:
        """Close the files.

        Args:
            opening, entries: of the session, from its beginning.

        Returns:
            the video and the diary; none where nothing was filmed.
        """
        if not self.frames:
            nothing = TweenError("nothing was filmed")
            self._stack.__exit__(TweenError, nothing, None)
            return []
        self._stack.close()
        diary = self.video.with_suffix(".ndjson")
        unfinished = diary.with_name(f".{diary.name}.partial")
        unfinished.write_text("".join(written(self.world, opening, entries, self.first)))
        unfinished.replace(diary)
        return [self.video, diary]


def _free(folder: Path, stem: str) -> Path:
    names = (f"{stem}{'' if i == 1 else f'-{i}'}.mp4" for i in range(1, 1000))
    return next(folder / name for name in names if not (folder / name).exists())
