"""Protocols and datasets go together, and the page says what the code does."""

from pathlib import Path

from tween.data import DATASETS
from tween.evaluate import PROTOCOLS
from tween.evaluate.protocols import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


def test_every_test_set_has_a_protocol():
    assert {name for name, entry in DATASETS.items() if entry.read} == PROTOCOLS.keys()


def test_the_page_shows_the_protocols():
    page = PAGE.read_text()
    assert page.split("<!-- protocols -->\n")[1].split("\n<!-- /protocols -->")[0] == table()
