"""Runs on a device with memory of its own: planes go there, planes come back, and the file is that of the CPU.

Without a GPU, CPU tensors go the way of those on one.
"""

from fractions import Fraction
from operator import attrgetter

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from tests.infer.fakes import Linear, clip
from tests.video.clips import info, moving
from tween.core import Frame
from tween.infer import fill as filling
from tween.infer.pipeline import Request, filled, interpolate
from tween.infer.plan import Marked, gaps
from tween.video import arrays
from tween.video.coded import Drawn
from tween.video.info import opened, pictures
from tween.video.planes import Layout, planes_of
from tween.video.write import VideoWriter, open_writer

SOURCES = [
    ("yuv420p", (48, 64)),
    ("yuv420p", (47, 63)),
    ("yuv420p10le", (48, 64)),
    ("yuv444p10le", (47, 63)),
    ("yuv422p", (48, 64)),
    ("yuv410p", (48, 64)),
    ("yuva420p", (48, 64)),
    ("gray", (48, 64)),
    ("gray16le", (33, 20)),
    ("gbrp10le", (48, 64)),
    ("bgra", (48, 64)),
]


def source(path, pix_fmt, size, n=7):
    layout = Layout.of(pix_fmt)
    about = info(width=size[1], height=size[0], pix_fmt=pix_fmt, bits=layout.bits, alpha=layout.alpha)
    with open_writer(path, info=about, rate=Fraction(25), codec="ffv1", pix_fmt=pix_fmt) as writer:
        for frame in moving(n, *size):
            writer.write(Frame(time=frame.time, rgb=torch.cat([frame.rgb, 0.5 + frame.rgb[:1] / 2])))
    return path


def planes(path):
    with opened(path) as container:
        return [
            (f.format.name, [p.astype(int) for p in planes_of(f)[1]])
            for f in container.decode(pictures(container))
        ]


def run(given, out, device="cpu", fps=60, **options):
    interpolate(Request(path=given, fps=Fraction(fps), **options), out, Linear(), device=device, codec="ffv1")
    return planes(out)


@pytest.fixture
def apart(monkeypatch):
    return lambda: monkeypatch.setattr(arrays, "by_torch", lambda device: True)


def agree(one, two, own):
    """As many frames of one format, the source's own equal and the others but for a rounding."""
    assert len(one) == len(two)
    for i, ((form, a), (other, b)) in enumerate(zip(one, two, strict=True)):
        assert form == other
        for x, y in zip(a, b, strict=True):
            assert abs(x - y).max() <= (i not in own)


@pytest.mark.parametrize(("pix_fmt", "size"), SOURCES)
def test_a_file_is_the_one_that_the_cpu_makes(tmp_path, apart, pix_fmt, size):
    given = source(tmp_path / "in.mkv", pix_fmt, size)
    one = run(given, tmp_path / "a.mkv")
    apart()
    two = run(given, tmp_path / "b.mkv")
    assert two[0][0] == pix_fmt
    agree(one, two, own=(0, 12))


@pytest.mark.gpu
@pytest.mark.parametrize(("pix_fmt", "size"), SOURCES)
def test_a_file_made_on_a_gpu_is_the_one_that_the_cpu_makes(tmp_path, pix_fmt, size):
    given = source(tmp_path / "in.mkv", pix_fmt, size)
    agree(run(given, tmp_path / "a.mkv"), run(given, tmp_path / "b.mkv", device="cuda"), own=(0, 12))


@pytest.mark.gpu
def test_few_pictures_lie_on_the_gpu_at_once(tmp_path):
    """Of 65 that are made or shown: two known, four made, and what a conversion makes on the way."""
    given = source(tmp_path / "in.mkv", "yuv420p", (1080, 1920), n=13)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run(given, tmp_path / "out.mkv", device="cuda", fps=125)
    assert torch.cuda.max_memory_allocated() - before < 30 * 3 * 4 * 1080 * 1920


@pytest.mark.parametrize("name", ["out.gif", "out/%03d.png"])
def test_gif_and_images(tmp_path, apart, name):
    given = source(tmp_path / "in.mkv", "bgra", (48, 64))
    (tmp_path / "out").mkdir()
    made = []
    for folder in ("a", "b"):
        (tmp_path / folder / "out").mkdir(parents=True)
        interpolate(Request(path=given, fps=Fraction(50)), tmp_path / folder / name, Linear())
        made.append([file.read_bytes() for file in sorted((tmp_path / folder).rglob("*.*"))])
        apart()
    assert made[0] == made[1]
    assert made[0]


def test_images_are_read_as_planes(tmp_path, apart):
    given = source(tmp_path / "in.mkv", "bgra", (48, 64))
    interpolate(Request(path=given, fps=Fraction(25)), tmp_path / "in_%03d.png", Linear())
    one = run(tmp_path / "in_%03d.png", tmp_path / "a.mkv")
    apart()
    agree(one, run(tmp_path / "in_%03d.png", tmp_path / "b.mkv"), own=(0, 12))


@pytest.mark.parametrize("scene", ["hold", "blend"])
def test_cuts_and_repeated_frames(tmp_path, apart, scene):
    """Held, blended and copied frames go by the same way as made ones."""
    still, moved = list(moving(1)) * 9, list(moving(9))
    with open_writer(tmp_path / "in.mkv", info=info(), rate=Fraction(25), codec="ffv1") as writer:
        for i, frame in enumerate([*moved, *still]):
            rgb = frame.rgb if i < 9 else 1 - frame.rgb.roll(17, 2)
            writer.write(Frame(time=Fraction(i, 25), rgb=rgb))
    one = run(tmp_path / "in.mkv", tmp_path / "a.mkv", fps=50, scene=scene)
    apart()
    agree(one, run(tmp_path / "in.mkv", tmp_path / "b.mkv", fps=50, scene=scene), own=range(0, 36, 2))


def test_planes_wait_and_floats_do_not(tmp_path, apart, monkeypatch):
    given, written = source(tmp_path / "in.mkv", "yuv420p", (48, 64)), []
    write = VideoWriter.write
    monkeypatch.setattr(VideoWriter, "write", lambda self, frame: (written.append(frame), write(self, frame)))
    apart()
    run(given, tmp_path / "out.mkv")
    assert len(written) > 12
    assert all(isinstance(frame, Drawn) for frame in written)
    with filled(Request(path=given, fps=Fraction(60)), Linear()) as (_, frames):
        own = [frame for frame in frames if frame.source]
    assert own
    assert not any("rgb" in vars(frame.planes) for frame in own)


def test_what_was_made_is_gone_before_more_is_made(monkeypatch):
    """On a GPU it would lie beside what the network needs."""
    made, given = [], filling.as_given

    def noted(*args):
        out = given(*args)
        made.append(StorageWeakRef(out.untyped_storage()))
        return out

    class Watching(Linear):
        def fill(self, *args):
            assert all(ref.expired() for ref in made)
            return super().fill(*args)

    monkeypatch.setattr(filling, "as_given", noted)
    found = gaps([Marked(frame=f) for f in clip(range(5))], Fraction(4), end=lambda: Fraction(5))
    times = list(map(attrgetter("time"), filling.fill(found, Watching())))  # a loop would hold the last one
    assert len(times) == 20
    assert len(made) == 4
