"""What papers report on the test sets, and our own results as rows of the same table.

Numbers are those printed in the papers or their repositories: of RIFE to UPR-Net-LL in the tables of IFRNet (CVPR 2022)
and UPR-Net (CVPR 2023), of LC-Mamba and MAMFI in their READMEs. Those of EMA-VFI and VFIMamba were read from tables of
others. What could not be read anywhere is a dash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

COLUMNS = {
    "Vimeo90K": "vimeo",
    "UCF101": "ucf101",
    "SNU easy": "snu-film-easy",
    "medium": "snu-film-medium",
    "hard": "snu-film-hard",
    "extreme": "snu-film-extreme",
    "X-TEST 4K": "xtest-4k",
    "2K": "xtest-2k",
    "Xiph 2K": "xiph-2k",
    "4K": "xiph-4k",
    "Middlebury, IE": "middlebury",
}
"""PSNR in dB and SSIM of each, but of Middlebury the interpolation error."""

COUNTS = {
    "vimeo": 3782,
    "ucf101": 379,
    "xtest-4k": 105,
    "xtest-2k": 105,
    "xiph-2k": 392,
    "xiph-4k": 392,
    "middlebury": 12,
}
COUNTS |= {f"snu-film-{level}": 310 for level in ("easy", "medium", "hard", "extreme")}
"""Pictures of each: a mean over fewer is not the papers' number."""

PAPERS = """
RIFE        no  9.8   35.62/.9780 35.28/.9690 40.06/.9907 35.75/.9789 30.10/.9330 24.84/.8534 - - - - 1.956
IFRNet-S    no  2.8   35.59/.9786 35.28/.9691 39.96/.9905 35.92/.9792 30.36/.9357 25.05/.8582 - - - - 1.995
IFRNet      no  5.0   35.80/.9794 35.29/.9693 40.03/.9905 35.94/.9793 30.41/.9358 25.05/.8587 - - - - 1.946
IFRNet-L    no  19.7  36.20/.9808 35.42/.9698 40.10/.9906 36.12/.9797 30.63/.9368 25.27/.8609 - - - - 1.846
ABME        no  18.1  36.18/.9805 35.38/.9698 39.59/.9901 35.77/.9789 30.58/.9364 25.42/.8639 30.16 - - - -
VFIformer   no  24.1  36.50/.9816 35.43/.9700 40.13/.9907 36.09/.9799 30.67/.9378 25.43/.8643 - - - - -
UPR-Net     no  1.7   36.03/.9801 35.41/.9698 40.37/.9910 36.16/.9797 30.67/.9365 25.49/.8627 30.13/.8990 - - - -
UPR-Net-L   no  3.7   36.28/.9810 35.43/.9700 40.42/.9911 36.24/.9799 30.81/.9370 25.58/.8636 30.68/.9086 - - - -
UPR-Net-LL  no  6.6   36.42/.9815 35.47/.9700 40.44/.9911 36.29/.9801 30.86/.9377 25.63/.8641 30.50 - - - -
EMA-VFI     yes -     36.64 35.48 39.98/.9910 36.09 30.94/.9392 25.69/.8661 31.46 32.85 36.90 - -
VFIMamba    yes 66.1  36.64 35.45 40.51 36.40 30.99 25.79 - - - - -
LC-Mamba-C  no  4.3   36.10/.9801 35.38/.9700 40.10/.9915 36.11/.9809 30.81/.9405 25.69/.8710 - - - - 1.94
LC-Mamba-E  no  6.7   36.20/.9802 35.42/.9699 40.15/.9912 36.18/.9809 30.89/.9416 25.81/.8725 - - - - 1.96
LC-Mamba-B  no  16.2  36.52/.9810 35.47/.9703 40.20/.9909 36.30/.9810 31.00/.9417 25.83/.8722 - - 37.33 35.14 1.90
MAMFI-S     no  5.7   36.14/.9800 35.43 40.05 36.18 30.83 25.62 - - - - 2.00
MAMFI-L     no  22.6  36.58/.9799 35.51/.9702 40.07 36.30 31.02/.9417 25.79/.8717 - - 37.31 35.13 1.89
"""
"""Name, flips averaged, million parameters, then `COLUMNS`."""


class Row(NamedTuple):
    """A method: by whose protocol it was measured, whether flips were averaged, and its cells by data set."""

    name: str
    protocol: str
    flips: str
    parameters: str
    cells: Mapping[str, str]


def published() -> list[Row]:
    """The papers' rows."""
    rows = []
    for line in PAPERS.strip().splitlines():
        name, flips, parameters, *cells = line.replace("/.", "/0.").split()
        rows.append(Row(name, "its own", flips, parameters, dict(zip(COLUMNS.values(), cells, strict=True))))
    return rows


def measured(results: Iterable[Mapping[str, Any]]) -> list[Row]:
    """A row for each model, protocol and choice of flips, from what `tween eval --json` wrote; parameters are those of
    `tween bench time --json`. Of two results of one kind the later one counts."""
    results = list(results)
    timed = [row for result in results if "dataset" not in result for row in result["rows"]]
    sizes = {row["model"]: f"{row['parameters'] / 1e6:.1f}" for row in timed if row.get("parameters")}
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for result in results:
        if result.get("dataset") in COLUMNS.values():
            flips = "no" if result["protocol"].endswith("no TTA") else "yes"
            kind = (result["model"], result["protocol"].partition(" protocol")[0], flips)
            found.setdefault(kind, {})[result["dataset"]] = cell(result)
    return [Row(*kind, sizes.get(kind[0], "-"), cells) for kind, cells in found.items()]


def cell(result: Mapping[str, Any]) -> str:
    """A result as the papers print it; where pictures are missing, how many there were."""
    count, whole = len(result["rows"]), COUNTS[result["dataset"]]
    part = "" if count == whole else f" ({count:,} of {whole:,})"
    if result["dataset"] == "middlebury":
        return f"{result['ie']:.3f}{part}"
    return f"{result['psnr']:.2f}/{result['ssim']:.4f}{part}"


def markdown(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table, without the sets that none of them has."""
    shown = {
        title: name for title, name in COLUMNS.items() if any(row.cells.get(name, "-") != "-" for row in rows)
    }
    head = ("", "protocol", "flips", "M parameters", *shown)
    cells = [(*row[:4], *(row.cells.get(name, "-") for name in shown.values())) for row in rows]
    rule = ("---",) * 3 + ("---:",) * (len(head) - 3)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *cells))
