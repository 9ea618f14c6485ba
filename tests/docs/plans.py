"""The command lines of the plans that this project began from, as docs/seed-commands.md lists them."""

import re
from collections.abc import Iterator
from pathlib import Path

SEEDS = ("000", "001", "002", "003", "004")
PLACES = {
    r"vimeo": "VIMEO",
    r"x4k": "X4K",
    r"ucf101": "UCF101",
    r"(snu|sun)-film": "SNU",
    r"middlebury": "MIDDLEBURY",
    r"": "DIR",
}
"""What a path names -> the word that stands for it."""


def lines(text: str) -> list[str]:
    """Every command of a plan once, in order: those of its bash blocks, and what it quotes in a sentence."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    quoted = re.findall(r"`((?:python -m |pip install |scripts/\S+\.sh)[^`\n]*|scripts/\S+\.sh)`", prose)
    found = [line for block in blocks for line in commands(block)]
    return list(dict.fromkeys(normal(line) for line in [*found, *quoted]))


def commands(block: str) -> Iterator[str]:
    """Lines of a shell block, continued ones joined, a program in quotes on one line; no comments."""
    whole = ""
    for line in block.splitlines():
        if line.lstrip().startswith("#"):
            continue
        quoted = whole.count('"') % 2
        whole += ("; " if quoted and not whole.endswith('"') and line != '"' else " " if whole else "") + line
        if whole.endswith("\\"):
            whole = whole[:-1]
        elif whole.count('"') % 2 == 0:
            if whole.strip():
                yield whole
            whole = ""


def normal(line: str) -> str:
    """With single spaces, and words for paths."""
    line = re.sub(r"(?<=\s)(/[\w.-]+)+", placeholder, " ".join(line.split()))
    return line.replace('-c " ', '-c "').removesuffix(' "') + '"' * line.endswith(' "')


def placeholder(path: re.Match[str]) -> str:
    """`VIMEO` for a folder of Vimeo90K; what lies in X4K1000FPS or in an environment keeps its name."""
    whole = path.group()
    word = next(word for name, word in PLACES.items() if re.search(name, whole.lower()))
    inside = re.search(r"(?:x4k\w*|anaconda3)(/.*)", whole, re.IGNORECASE)
    return word + (inside.group(1) if inside else "")


def found(folder: Path) -> dict[str, list[str]]:
    """Seed -> its commands, where the plans are."""
    texts = {seed: next(folder.glob(f"{seed}_*")).read_text() for seed in SEEDS}
    return {seed: lines(text) for seed, text in texts.items()}
