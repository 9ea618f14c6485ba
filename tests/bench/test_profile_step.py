"""A step's profile names what runs and adds up."""

import re

from bench import profile_step


def test_it_lists_the_longest_first(capsys):
    toy = ["--recipe", "fast", "--batch-size", "1", "--crop", "64", "64", "--steps", "1", "--rows", "5"]
    profile_step.main([*toy, "--device", "cpu", "--no-compile"])
    total, *rows = capsys.readouterr().out.strip().splitlines()
    spent = [float(row.split()[0]) for row in rows]
    assert len(rows) == 5
    assert spent == sorted(spent, reverse=True)
    assert 0 < sum(spent) <= float(re.match(r"([\d.]+) ms a step", total.strip())[1]) + 0.1
    assert any("convolution" in row for row in rows)
