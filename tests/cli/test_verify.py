"""`tween verify` passes what interpolate made, and fails what is broken in the ways people complain about."""

import json
from fractions import Fraction

import numpy as np
import pytest

from tests.infer import videos
from tests.video.clips import info, moving
from tween.cli.main import main
from tween.video.write import open_writer

TIMES = [Fraction(i, 30) for i in range(20)]


def checks(capsys, *argv):
    code = main(["verify", "--json", *map(str, argv)])
    return code, {check["name"]: check["ok"] for check in json.loads(capsys.readouterr().out)}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return videos.write(tmp_path_factory.mktemp("videos") / "in.mp4", TIMES, sound=True)


def made(tmp_path, pictures=None, frames=40, sound=True):
    pictures = pictures or [videos.picture(i / 2) for i in range(frames)]
    times = [Fraction(k, 60) for k in range(frames)]
    return videos.write(tmp_path / "out.mp4", times, pictures=pictures, rate=60, sound=sound)


def test_what_interpolate_makes_passes(capsys, source, tmp_path):
    out = tmp_path / "out.mp4"
    assert main(["interpolate", str(source), "-o", str(out), "--fps", "60", "--model", "blend"]) == 0
    capsys.readouterr()
    code, found = checks(capsys, source, out)
    assert code == 0
    assert all(found.values())
    assert set(found) == {
        "length", "colour tags", "picture", "source frames", "brightness", "streams", "sound"
    }  # fmt: skip


def test_a_good_one_passes_and_says_so(capsys, source, tmp_path):
    assert main(["verify", str(source), str(made(tmp_path))]) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_a_part_in_slow_motion(capsys, source, tmp_path):
    out = tmp_path / "out.mp4"
    part = ["--ss", "0.1", "--to", "0.4", "--slowmo", "2"]
    assert main(["interpolate", str(source), "-o", str(out), "--model", "blend", *part]) == 0
    capsys.readouterr()
    code, found = checks(capsys, source, out, *part)
    assert code == 0, found
    assert checks(capsys, source, out)[0] == 1


def test_every_second_frame_brighter(capsys, source, tmp_path):
    pictures = [
        (videos.picture(i / 2).astype(int) + 2 * (i % 2)).clip(0, 255).astype(np.uint8) for i in range(40)
    ]
    code, found = checks(capsys, source, made(tmp_path, pictures))
    assert code == 1
    assert not found["brightness"]


def test_one_frame_late(capsys, source, tmp_path):
    code, found = checks(capsys, source, made(tmp_path, [videos.picture(i / 2 - 4) for i in range(40)]))
    assert code == 1
    assert not found["source frames"]


def test_too_short_and_silent(capsys, source, tmp_path):
    code, found = checks(capsys, source, made(tmp_path, frames=30, sound=False))
    assert code == 1
    assert not found["length"]
    assert not found["streams"]
    assert not found["sound"]


def test_another_size(capsys, source, tmp_path):
    pictures = [videos.picture(i / 2, (48, 80)) for i in range(40)]
    code, found = checks(capsys, source, made(tmp_path, pictures))
    assert code == 1
    assert not found["picture"]


def test_a_missing_output(capsys, source, tmp_path):
    assert main(["verify", str(source), str(tmp_path / "no.mp4")]) == 2
    assert capsys.readouterr().err.startswith("tween: ")


def test_images_at_their_own_rates(capsys, tmp_path):
    pattern, film, again = tmp_path / "in/%03d.png", tmp_path / "out.mp4", tmp_path / "again/%03d.png"
    with open_writer(pattern, info=info(), rate=Fraction(24)) as writer:
        for frame in moving(6):
            writer.write(frame)
    rate = ["--input-rate", "24"]
    for out, more in ((film, []), (again, ["--output-rate", "48"])):
        assert (
            main(["interpolate", str(pattern), "-o", str(out), "--fps", "48", "--model", "blend", *rate]) == 0
        )
        capsys.readouterr()
        code, found = checks(capsys, pattern, out, *rate, *more)
        assert code == 0, found
    assert not checks(capsys, pattern, again, *rate)[1]["length"]


def test_duplicates_that_were_retimed(capsys, tmp_path):
    pictures = [videos.picture(8 * (i // 2)) for i in range(20)]
    source = videos.write(tmp_path / "twos.mp4", TIMES, pictures=pictures)
    out = tmp_path / "out.mp4"
    assert main(["interpolate", str(source), "-o", str(out), "--retime-duplicates", "--model", "dis"]) == 0
    capsys.readouterr()
    assert not checks(capsys, source, out)[1]["source frames"]
    assert checks(capsys, source, out, "--retime-duplicates")[1]["source frames"]
