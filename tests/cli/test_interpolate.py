"""`tween interpolate`: what it says and leaves behind when all is well, and for every mistake of the issue."""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.infer import videos
from tests.video.clips import info, moving
from tween.cli.interpolate import seconds
from tween.cli.main import main
from tween.core import TweenError
from tween.video.read import open_reader
from tween.video.write import open_writer


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "in.mp4"
    return videos.write(path, [Fraction(i, 30) for i in range(20)], sound=True)


def run(capsys, *argv) -> tuple[int, str, str]:
    code = main(["interpolate", "--model", "blend", *map(str, argv)])
    out, err = capsys.readouterr()
    return code, out, err


def refuse(capsys, tmp_path, *argv) -> str:
    """The one line of an error; nothing may be left behind."""
    before = set(tmp_path.rglob("*"))
    code, out, err = run(capsys, *argv)
    assert code == 2
    assert out == ""
    assert err.startswith("tween: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert set(tmp_path.rglob("*")) == before
    return err


def test_a_whole_video(capsys, source, tmp_path):
    code, out, _ = run(capsys, source, "-o", tmp_path / "out.mp4", "--fps", "60")
    assert code == 0
    assert "40 frames (20 of them the source's own)" in out
    assert "is the bottleneck" in out
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.streams.video[0].average_rate == 60
        assert made.streams.video[0].frames == 40
        assert len(made.streams.audio) == 1


@pytest.mark.parametrize(
    ("flags", "rate", "frames"),
    [
        (["--factor", "2.5"], 75, 50),
        (["--slowmo", "4"], 30, 80),
        (["--slowmo", "2", "--fps", "60"], 60, 80),
        (["--fps", "60000/1001"], Fraction(60000, 1001), 40),
        ([], 60, 40),
        (["--ss", "0.2", "--to", "0:00.4", "--fps", "60"], 60, 12),
    ],
)
def test_rates(capsys, source, tmp_path, flags, rate, frames):
    code, out, err = run(capsys, source, "-o", tmp_path / "out.mkv", "--json", *flags)
    assert code == 0, err
    assert json.loads(out)["frames_out"] == frames
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert abs(made.streams.video[0].average_rate - rate) < 1e-3 * rate


def test_the_plan(capsys, source, tmp_path):
    code, out, _ = run(capsys, source, "--fps", "60", "--dry-run")
    assert code == 0
    for word in ("20 at 30 fps -> 40 at 60 fps", "cuts", "duplicates", "interlacing", "memory", "time"):
        assert word in out
    code, out, _ = run(capsys, source, "--fps", "60", "--dry-run", "--json")
    plan = json.loads(out)
    assert (plan["frames_in"], plan["frames_out"], plan["variable"], plan["duplicates"]) == (
        20,
        40,
        False,
        "none",
    )
    assert plan["seconds"] > 0


def test_the_plan_of_a_real_clip(capsys, shared):
    path = shared / "videos/scene_cuts_640x272_25fps.mp4"
    code, out, _ = run(capsys, path, "--fps", "60", "--dry-run", "--json", "--to", "4")
    plan = json.loads(out)
    assert code == 0
    assert plan["cuts"] == [str(Fraction(30, 25)), str(Fraction(76, 25))]
    assert plan["interlacing"] is None


def test_no_such_file(capsys, tmp_path):
    assert "missing.mp4" in refuse(capsys, tmp_path, tmp_path / "missing.mp4", "-o", tmp_path / "out.mp4")


def test_no_output(capsys, source, tmp_path):
    assert "-o OUT" in refuse(capsys, tmp_path, source)


def test_an_empty_file(capsys, tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "empty" in refuse(capsys, tmp_path, tmp_path / "empty.mp4", "-o", tmp_path / "out.mp4")


def test_no_video(capsys, tmp_path):
    (tmp_path / "a.mp4").write_text("just some words\n" * 50)
    assert "expected a video" in refuse(capsys, tmp_path, tmp_path / "a.mp4", "-o", tmp_path / "out.mp4")


@pytest.mark.parametrize("part", [0.3, 0.6])
def test_a_truncated_file(capsys, source, tmp_path, part):
    whole = tmp_path / "whole.mkv"  # readable up to the cut, unlike mp4
    videos.write(whole, [Fraction(i, 30) for i in range(150)])
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: int(part * whole.stat().st_size)])
    assert "cut" in refuse(capsys, tmp_path, cut, "-o", tmp_path / "out.mkv", "--fps", "60")
    (tmp_path / "cut.mp4").write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    refuse(capsys, tmp_path, tmp_path / "cut.mp4", "-o", tmp_path / "out.mp4")


def test_sound_only(capsys, tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux([*audio.encode(frame), *audio.encode(None)])
    assert "audio" in refuse(capsys, tmp_path, path, "-o", tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--fps", "0"], "above 0"),
        (["--fps", "-30"], "above 0"),
        (["--fps", "24"], "at least as many frames"),
        (["--fps", "fast"], "60000/1001"),
        (["--fps", "1/0"], "60000/1001"),
        (["--fps", "nan"], "number"),
        (["--factor", "0.5"], "at least as many frames"),
        (["--factor", "-2"], "above 0"),
        (["--slowmo", "0"], "above 0"),
        (["--slowmo", "0.5"], "at least 1"),
        (["--fps", "60", "--factor", "2"], "leave one out"),
        (["--ss", "5", "--to", "2"], "start < stop"),
        (["--ss", "1::2"], "h:]m:s"),
        (["--ss", "50"], "has none there"),
        (["--codec", "libx999"], "libx999"),
        (["--pix-fmt", "rgb999"], "rgb999"),
        (["--model", "rife"], "blend"),
        (["--device", "tpu"], "cpu"),
        (["--scale", "0.5"], "blend"),
    ],
)
def test_wishes_that_cannot_be_met(capsys, source, tmp_path, flags, word):
    assert word in refuse(capsys, tmp_path, source, "-o", tmp_path / "out.mp4", *flags)


def test_output_over_input(capsys, source, tmp_path):
    size = source.stat().st_size
    refuse(capsys, tmp_path, source, "-o", source, "--overwrite")
    assert source.stat().st_size == size


def test_an_output_that_exists(capsys, source, tmp_path):
    (tmp_path / "out.mp4").write_text("precious")
    assert "overwrite" in refuse(capsys, tmp_path, source, "-o", tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_text() == "precious"
    code, _, _ = run(capsys, source, "-o", tmp_path / "out.mp4", "-y")
    assert code == 0
    assert (tmp_path / "out.mp4").stat().st_size > 1000


def test_an_unknown_container_or_folder(capsys, source, tmp_path):
    refuse(capsys, tmp_path, source, "-o", tmp_path / "out.xyz")
    refuse(capsys, tmp_path, source, "-o", tmp_path / "no/such/folder/out.mp4")


def test_a_full_disk(source, tmp_path):
    """The limit on file size stands in for the disk: the write fails in the same place."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); from tween.cli.main import main;"
        f"sys.exit(main(['interpolate', {str(source)!r}, '-o', {str(tmp_path / 'out.mp4')!r}, '--model', 'blend']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("tween: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def hear_ctrl_c() -> None:
    """In a child of a process that ignores Ctrl-C, as one in the background does, the child ignores it too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_kill_and_a_closed_terminal(how, tmp_path):
    path = videos.write(tmp_path / "in.mp4", [Fraction(i, 30) for i in range(900)])
    command = [
        sys.executable,
        "-m",
        "tween.cli.main",
        "interpolate",
        str(path),
        "-o",
        str(tmp_path / "out.mp4"),
    ]
    with subprocess.Popen(
        [*command, "--factor", "8", "--model", "blend"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".*partial*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, how)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert [item.name for item in tmp_path.iterdir()] == ["in.mp4"]


def test_seconds():
    assert seconds("1:02.5", "--ss") == Fraction(125, 2)
    assert seconds("1:00:00", "--ss") == 3600
    assert seconds(None, "--ss") is None
    with pytest.raises(TweenError):
        seconds("a:b", "--ss")


@pytest.mark.parametrize(("bits", "worst"), [(8, 0.51 / 255), (16, 0.51 / 65535)])
def test_images_out_and_in_again(capsys, tmp_path, bits, worst):
    """A made folder of images, at its own rate, to a folder that is not there yet; then those to a video."""
    frames = list(moving(6))
    with open_writer(tmp_path / "in", info=info(bits=bits), rate=Fraction(24)) as writer:
        for frame in frames:
            writer.write(frame)
    pattern = tmp_path / "new/%05d.png"
    flags = ["--input-rate", "24", "--factor", "2", "--scene", "off"]
    code, _, err = run(capsys, tmp_path / "in", "-o", pattern, *flags)
    assert code == 0, err
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == [
        f"{i:05d}.png" for i in range(1, 13)
    ]
    with open_reader(pattern, rate=Fraction(48)) as reader:
        made = list(reader)
        assert reader.info.bits == bits
    for a, b in zip(frames, made[::2], strict=True):
        assert float((a.rgb - b.rgb).abs().max()) <= worst
    between = (frames[0].rgb + frames[1].rgb) / 2
    assert float((made[1].rgb - between).abs().max()) <= 2 * worst
    code, _, err = run(capsys, pattern, "-o", tmp_path / "out.mp4", "--input-rate", "48", "--fps", "96")
    assert code == 0, err
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert (video.streams.video[0].average_rate, video.streams.video[0].frames) == (96, 24)
        assert video.streams.video[0].duration * video.streams.video[0].time_base == Fraction(1, 4)


def test_an_input_rate_is_for_images(capsys, source, tmp_path):
    out = tmp_path / "out.mp4"
    assert "image sequences" in refuse(capsys, tmp_path, source, "-o", out, "--input-rate", "24")
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8, 3), np.uint8))
    assert "above 0" in refuse(capsys, tmp_path, tmp_path / "%d.png", "-o", out, "--input-rate", "0")


def test_images_into_a_folder_of_a_folder_that_is_not_there(capsys, source, tmp_path):
    assert "no such" in refuse(capsys, tmp_path, source, "-o", tmp_path / "no such/folder/%d.png")
