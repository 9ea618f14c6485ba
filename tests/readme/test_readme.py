"""What the README says to type works, and its tables are what was measured."""

import io
import re
import shlex
import shutil
from pathlib import Path

import av
import pytest
from PIL import Image

from bench import report
from tests.data import layouts
from tween.cli import ablate, search, train
from tween.cli.main import COMMANDS, main
from tween.zoo import ZOO

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/tween/**/*.md")]
UNMEASURED = "*Not measured yet.*"


def blocks(language: str) -> list[str]:
    """Fenced blocks of the README."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


LINES = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
TWEEN = [line[1:] for line in LINES if line[0] == "tween"]
LONG = {
    "train": train,
    "ablate": ablate,
    "search": search,
}  # understood here, run in tests/docs and tests/cli
QUICK = {
    "bench": ["--sizes", "64x64", "--runs", "1"],
    "splat": ["--seconds", "0.1"],
    "fill": ["--draft"],
    "generate": ["--blocks", "2"],
    "play": ["--terminal", "-o", "played.mp4"],  # the page itself is driven in tests/studio
}


def begin(source: Path, target: Path, seconds: float) -> None:
    """The beginning of a video at half its size, the sound as it is: the commands need no more."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        picture, sound = whole.streams.video[0], whole.streams.audio[0]
        small = part.add_stream("libx264", rate=picture.average_rate, pix_fmt="yuv420p")
        small.width, small.height = picture.width // 2, picture.height // 2
        copy = part.add_stream_from_template(sound)
        for packet in whole.demux(picture, sound):
            if packet.dts is None or packet.dts * packet.time_base >= seconds:
                continue
            for frame in packet.decode() if packet.stream is picture else ():
                part.mux(small.encode(frame.reformat(small.width, small.height)))
            if packet.stream is sound:
                packet.stream = copy
                part.mux(packet)
        part.mux(small.encode())


def halved(source: Path, target: Path) -> None:
    """A picture at half its size, without loss."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        image.convert("RGB").reduce(2).save(target, lossless=True)


@pytest.fixture(scope="module")
def folder(shared, tmp_path_factory):
    """A phone's clip, a GIF, numbered stills, triplets and test sets, as the README's commands name them."""
    folder = tmp_path_factory.mktemp("readme")
    begin(shared / "videos" / "short_36frames_320x240_audio.mp4", folder / "phone.mp4", seconds=0.7)
    shutil.copy(shared / "videos" / "gif_newtonscradle.gif", folder / "loop.gif")
    scene, other = [path for path in sorted((shared / "val" / "davis30").iterdir()) if path.is_dir()][:2]
    for picture in (*scene.iterdir(), *other.iterdir()):
        halved(picture, folder / "triplets" / picture.parent.name / picture.name)
    layouts.ucf101(folder / "UCF101")
    layouts.snu_film(folder / "SNU-FILM")
    for number in (1, 2, 3):
        halved(scene / f"im{number}.webp", folder / "stills" / f"{number:03}.png")
    shutil.copy(folder / "stills" / "001.png", folder / "a.png")
    shutil.copy(folder / "stills" / "003.png", folder / "b.png")
    return folder


def test_every_command_works_in_the_order_it_is_read(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("W\n\n\nn\n"))
    for line in TWEEN:
        if line[0] in LONG or "--help" in line:
            continue
        code = main([*line, *QUICK.get(line[0], ())])
        said = capsys.readouterr()
        assert code == 0, f"tween {shlex.join(line)}\n{said.out}{said.err}"
        if "-o" in line:
            made = folder.glob(re.sub(r"%\d+d", "*", line[line.index("-o") + 1]))
            assert min((path.stat().st_size for path in made), default=0) > 1000


@pytest.mark.parametrize("command", LONG)
def test_long_commands_are_understood(command):
    lines = [line for line in TWEEN if line[0] == command]
    assert lines
    for line in lines:
        LONG[command].parser().parse_args(line[1:])


def test_every_command_is_shown():
    assert {line[0] for line in TWEEN} == set(COMMANDS)


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = {line[1] for line in LINES if line[0] == "make"}
    assert named
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


@pytest.mark.parametrize("code", blocks("python"), ids=range(len(blocks("python"))))
def test_the_library_example_runs(code, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    if "half" in names:
        assert names["half"].size == names["a"].size
        assert Path("half.png").stat().st_size > 1000
    elif "frames" in names:
        times = [time for time, _ in names["frames"]]
        assert len(times) > 4
        assert times == sorted(set(times))
    else:
        assert names["frame"].shape[0] == 3


def test_tables_are_what_was_measured():
    assert report.fill(README) == README, "run python -m bench.report"


def test_no_table_without_a_measurement():
    tables = re.findall(r"<!-- bench:(\w+) -->\n(.*?)\n<!-- /bench -->", README, re.DOTALL)
    assert len(tables) == README.count("<!-- bench:") > 0
    assert {name for name, body in tables if body != UNMEASURED and report.table(name) is None} == set()


def test_the_size_of_the_network_is_said_right():
    assert f"{ZOO['fast'].params:,} parameters" in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    lost = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert lost == []
