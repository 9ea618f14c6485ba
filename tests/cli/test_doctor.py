"""`tween doctor` and `tween models`: every line true, every trouble with its fix."""

import json
from importlib import import_module

from tween.cli import doctor
from tween.cli.main import main
from tween.zoo import ZOO, Entry


def test_this_machine(capsys):
    code = main(["doctor"])
    out = capsys.readouterr().out
    assert code == 0
    for name in ("python", "torch", "cpu", "video", "encoders", "disk"):
        assert name in out
    assert "FAIL" not in out


def test_a_missing_package(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "NEEDED", (*doctor.NEEDED, "no-such-package"))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "FAIL" in out
    assert "pip install no-such-package" in out


def test_missing_and_wrong_weights(monkeypatch, tmp_path, capsys):
    entry = Entry(build=ZOO["blend"].build, summary="", file="a.safetensors", sha256="0" * 64)
    monkeypatch.setitem(ZOO, "broken", entry)
    monkeypatch.setattr(import_module("tween.zoo.load"), "WEIGHTS", tmp_path)
    monkeypatch.setattr(doctor, "ROOM", 10**18)
    assert main(["doctor"]) == 1
    assert "missing" in capsys.readouterr().out
    (tmp_path / "a.safetensors").write_bytes(b"other")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "not the released file" in out
    assert "make room" in out


def test_models(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ZOO)
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(ZOO)
    assert all(row["licence"] and row["summary"] for row in rows)
