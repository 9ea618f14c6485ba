"""docs/datasets.md says of every dataset what the code knows of it."""

import re
from pathlib import Path

import pytest

from tween.data import DATASETS, ucf101, vimeo, vimeo_septuplet, x4k

TEXT = (Path(__file__).parents[2] / "docs/datasets.md").read_text()
ROWS = {
    name: [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.split("## What is drawn")[0].splitlines()
    if line.startswith("| `")
    for name in re.findall(r"`([a-z0-9-]+)`", line.split("|")[1])
}


def test_every_dataset_has_a_row_and_none_is_made_up():
    assert set(ROWS) == set(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_what_it_is_for(name):
    entry = DATASETS[name]
    uses = [use for use, there in (("train", entry.train), ("test", entry.read)) if there]
    assert ROWS[name][1] == ", ".join(uses)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("vimeo", vimeo.COUNTS.values()),
        ("vimeo-septuplet", vimeo_septuplet.COUNTS.values()),
        ("x4k", [x4k.CLIPS, x4k.LENGTH]),
        ("xtest-4k", [x4k.TESTS, 7 * x4k.TESTS]),
        ("ucf101", [ucf101.COUNT]),
    ],
)
def test_counts(name, numbers):
    for number in numbers:
        assert f"{number:,}" in ROWS[name][4]


def test_layouts_name_the_lists():
    for name in (*vimeo.COUNTS, *vimeo_septuplet.COUNTS):
        assert f"`{name}`" in TEXT
