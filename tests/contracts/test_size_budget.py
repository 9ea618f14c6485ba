"""Small files, small functions: a reader holds one at a time in mind."""

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob("src/**/*.py"))
FILE, FUNCTION, TYPICAL = 400, 60, 12


def functions(path):
    """(name, lines) of every function in a file, its docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = node.body[0] if ast.get_docstring(node, clean=False) else None
            said = doc.end_lineno - doc.lineno + 1 if doc else 0
            yield node.name, node.end_lineno - node.lineno + 1 - said


def test_there_is_something_to_measure():
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_file_and_its_functions_are_small(path):
    assert len(path.read_text().splitlines()) <= FILE
    assert {name: lines for name, lines in functions(path) if lines > FUNCTION} == {}


def test_a_typical_function_is_short():
    assert median(lines for path in FILES for _, lines in functions(path)) <= TYPICAL
