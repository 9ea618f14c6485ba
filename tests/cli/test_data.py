"""`tween data`: what it prints, and that a set that is not whole is no success."""

from tests.data.layouts import middlebury_other
from tween.cli.main import main
from tween.data import DATASETS


def test_the_list_has_a_line_for_each(capsys):
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == list(DATASETS)
    uses = {line.split()[0]: line for line in out}
    assert " train and test " in uses["vimeo"]
    assert " test " in uses["ucf101"]
    assert "train" not in uses["ucf101"]


def test_a_set_that_is_whole_and_then_not(tmp_path, capsys):
    middlebury_other(tmp_path)
    assert main(["data", "check", "middlebury", "--path", str(tmp_path), "--all"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == "  12 of 12 scenes"
    assert second == "  36 of 36 files are whole (opened: all)"
    assert last == f"middlebury is complete in {tmp_path}"
    (tmp_path / "other-data/Venus/frame10.png").write_bytes(b"")
    assert main(["data", "check", "middlebury", "--path", str(tmp_path)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if line.startswith("! ")] == [
        f"! {tmp_path}/other-data/Venus/frame10.png should be a picture, but cannot be read; download it again"
    ]


def test_a_set_there_is_not(tmp_path, capsys):
    assert main(["data", "check", "imagenet", "--path", str(tmp_path)]) == 2
    assert "there is no dataset 'imagenet'; choose one of vimeo, " in capsys.readouterr().err
