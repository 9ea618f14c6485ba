"""Looking through a dataset's folder: is everything there, is every file whole, do the pictures have their size?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tween.core import TweenError
from tween.data.dataset import Check
from tween.data.pictures import PICTURES, pixels

THREADS = 16
SAMPLE = 64  # files opened whole where not all are
END_OF = {b"\x89PNG": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9"}


def home(root: Path, marks: Sequence[str], what: str, folders: Sequence[str] = ()) -> Path:
    """The folder that holds all of `marks`: `root`, one of `folders` in it, or the one around it.

    Raises:
        TweenError: if none does, saying what `root` holds instead and where the marks lie nearby.
    """
    for place in (root, *(root / f for f in folders), root.parent):
        if all((place / m).exists() for m in marks):
            return place
    holds = sorted(p.name for p in root.iterdir())[:4] if root.is_dir() else []
    came = f"holds {', '.join(holds)}" if holds else "is empty" if root.is_dir() else "is not there"
    near = [p for depth in ("*", "*/*") for p in sorted(root.glob(depth)) if (p / marks[0]).exists()]
    todo = (
        f"give {near[0]}" if near else "give the folder that does"
    )  # by --path, --data-path, --x4k-path, --val
    raise TweenError(f"{root} should hold {' and '.join(marks)} of {what}, but {came}; {todo}")


def lines(path: Path) -> list[str]:
    """The lines of a list, blank ones passed over.

    Raises:
        TweenError: if it cannot be read as text.
    """
    try:
        return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise TweenError(
            f"{path} should be a list of scenes, but cannot be read; download it again"
        ) from None


def tally(
    where: Path, what: str, groups: Sequence[Sequence[Path]], count: int | None = None, *, use: str = ""
) -> Check:
    """How many of `groups`, each the files of one of `what`, are whole.

    Args:
        where: what names or holds them: a list, a folder.
        count: how many there should be; None: any number but none.
        use: what can be done with a part of them as well, such as `train on`.
    """
    files = [file for group in groups for file in group]
    with ThreadPoolExecutor(THREADS) as pool:
        there = dict(zip(files, pool.map(Path.is_file, files), strict=True))
    missing = [file for file in files if not there[file]]
    whole = sum(all(there[file] for file in group) for group in groups)
    wrong = []
    if len(groups) != count and (count or not groups):
        some = "some" if count is None else f"{count:,}"
        part = f", or {use} this part as it is" if use and groups else ""
        wrong.append(f"{where} should have {some} {what}, but has {len(groups):,}; download it again{part}")
    if missing:
        part = f", or take out of {where.name} what is not whole and {use} the rest" if use else ""
        wrong.append(
            f"{where} should have all files of its {len(groups):,} {what}, but {len(missing):,} of {len(files):,} are "
            f"missing, the first is {missing[0]}; copy the set again{part}"
        )
    found = f"{whole:,} of {max(count or 0, len(groups)):,} {what}"
    return Check(found=(found,), wrong=tuple(wrong), files=tuple(f for f in files if there[f]))


def together(*checks: Check) -> Check:
    """Several parts of one set as one."""
    return Check(
        found=tuple(line for c in checks for line in c.found),
        wrong=tuple(line for c in checks for line in c.wrong),
        files=tuple(dict.fromkeys(file for c in checks for file in c.files)),
        size=next((c.size for c in checks if c.size), None),
    )


def explained(check: Callable[[Path], Check]) -> Callable[[Path], Check]:
    """`check`, whose mistakes become what is wrong."""

    def explain(root: Path) -> Check:
        try:
            return check(root)
        except TweenError as error:
            return Check(wrong=(str(error),))

    return explain


def look(check: Check, *, every: bool = False) -> Check:
    """`check` after its files were opened: the ends of all, the whole of some, or of `every` one."""
    step = 1 if every else max(1, len(check.files) // SAMPLE)
    some = set(check.files[::step])

    def faulty(file: Path) -> str | None:
        return fault(file, check.size) if file in some or not closed(file) else None

    with ThreadPoolExecutor(THREADS) as pool:
        faults = [f for f in pool.map(faulty, check.files) if f]
    if not check.files:
        return check
    how = "all" if len(some) == len(check.files) else f"{len(some):,} of them, the ends of the others"
    found = (
        *check.found,
        f"{len(check.files) - len(faults):,} of {len(check.files):,} files are whole (opened: {how})",
    )
    more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
    return replace(check, found=found, wrong=(*check.wrong, *(f + more for f in faults[:1])))


def fault(file: Path, size: tuple[int, int] | None) -> str | None:
    """What is wrong with a picture or with the last frame of a video, as a sentence; None: nothing."""
    from tween.video.pick import pick, stamps

    try:
        picture = pixels(file) if file.suffix.lower() in PICTURES else pick(file, stamps(file)[-1:])[0]
    except TweenError as error:
        return str(error)
    h, w = picture.shape[:2]
    if size and (w, h) != size:
        return f"{file} should have {size[0]}x{size[1]} pixels, but has {w}x{h}; download the original"
    return None


def closed(file: Path) -> bool:
    """Whether a picture's file begins and ends as its kind does: a copy that was broken off does not."""
    with file.open("rb") as opened:
        begin = opened.read(12)
        opened.seek(0, 2)
        length = opened.tell()
        opened.seek(max(0, length - 8))
        end = opened.read()
    if begin[:4] == b"RIFF":
        return int.from_bytes(begin[4:8], "little") + 8 == length
    if begin[4:8] == b"ftyp":
        return _boxes(file) == length
    return any(begin.startswith(magic) and end.endswith(last) for magic, last in END_OF.items())


def _boxes(file: Path) -> int:
    """Where the last box of an MP4 file ends by what the boxes say; 0 without its index."""
    at, index = 0, False
    with file.open("rb") as opened:
        while len(head := opened.read(16)) >= 8:
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size
            index |= head[4:8] in (b"moov", b"moof")
            if size < 8:
                break
            at += size
            opened.seek(at)
    return at if index else 0
