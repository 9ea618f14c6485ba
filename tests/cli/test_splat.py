"""`tween splat` and `tween interpolate --frames`: from a video and a small network to files, and every mistake."""

import math
import struct
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.infer import videos
from tests.models.splat.toy import net
from tween.cli import splat as cli
from tween.cli.main import main
from tween.core import Frame, TweenError
from tween.engine import checkpoint
from tween.engine.log import plain
from tween.models.splat.ply import read_ply, write_ply
from tween.ops.raster import Gaussians
from tween.video.read import open_reader


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return videos.write(
        tmp_path_factory.mktemp("videos") / "in.mp4", [Fraction(i, 25) for i in range(6)], sound=True
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "toy.safetensors"
    toy = net(live=True)
    values = {f"weights/{k}": v for k, v in nn.ModuleDict({"net": toy}).state_dict().items()}
    config = {"name": "toy", "configs": {"net": plain(toy.config)}}
    checkpoint.write(path, values, {"kind": "lean", "step": 1, "config": config})
    return path


def frames(path):
    with open_reader(path) as reader:
        return [(f.time, f.rgb) for f in reader]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_interpolate_with_n_frames(source, trained, tmp_path, n):
    out = tmp_path / "out.mp4"
    argv = [
        "interpolate",
        source,
        "-o",
        out,
        "--model",
        trained,
        "--frames",
        n,
        "--device",
        "cpu",
        "--codec",
        "ffv1",
    ]
    assert main(list(map(str, argv))) == 0
    made = frames(out)
    assert len(made) == 12
    assert all(b > a for (a, _), (b, _) in pairwise(made))
    assert all(rgb.std() > 0.02 for _, rgb in made)


def test_a_swing_around_an_instant(source, trained, tmp_path):
    out = tmp_path / "orbit.mkv"
    argv = ["splat", "orbit", source, "-o", out, "--model", trained, "--at", "0.1", "--seconds", "0.32"]
    assert main([*map(str, argv), "--device", "cpu"]) == 0
    made = [rgb for _, rgb in frames(out)]
    assert len(made) == 8
    assert made[0].shape == frames(source)[0][1].shape
    moved = [(rgb - made[0]).abs().mean() for rgb in made]
    assert moved[2] > 3 * moved[4]  # a quarter round it is at the side, half round it is back
    assert moved[2] > 0.003


def test_depth_of_every_frame(source, trained, tmp_path):
    out = tmp_path / "depth.mp4"
    assert (
        main(["splat", "depth", str(source), "-o", str(out), "--model", str(trained), "--device", "cpu"]) == 0
    )
    made = frames(out)
    assert [t for t, _ in made] == [t for t, _ in frames(source)]
    assert all(rgb.std(0).max() < 0.02 for _, rgb in made)  # grey
    assert made[0][1].std() > 0.02


def test_a_ply(source, trained, tmp_path):
    out = tmp_path / "cloud.ply"
    argv = ["splat", "ply", source, "-o", out, "--model", trained, "--frames", 2, "--device", "cpu"]
    assert main(list(map(str, argv))) == 0
    cloud = read_ply(out)
    h, w = frames(source)[0][1].shape[-2:]
    assert cloud.means.shape[1] >= h * w
    assert (cloud.means[..., 2] > 0).all()
    assert out.read_bytes().startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex ")


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4).filter(lambda x: sum(x) > 1), st.integers(1, 3))
def test_every_frame_is_seen_among_its_own_scene(lengths, past):
    """`past` up to and with it, as many or one fewer after it; fewer at the ends of its scene."""
    scenes = [i for i, length in enumerate(lengths) for _ in range(length)]
    frames = [Frame(time=Fraction(i, 25), rgb=torch.zeros(3, 1, 1)) for i in range(len(scenes))]
    with pytest.MonkeyPatch.context() as patch:
        starts = [False, *(a != b for a, b in pairwise(scenes))]
        patch.setattr(cli, "cuts", lambda _: zip(frames, starts, strict=True))
        found = [
            ([int(25 * f.time) for f in near], int(25 * at.time))
            for near, at in cli.windows(frames, past, past)
        ]
    assert [at for _, at in found] == list(range(len(scenes)))
    for near, at in found:
        assert len(near) >= 2
        assert at in near
        own = [i for i, scene in enumerate(scenes) if scene == scenes[at]]
        if len(own) > 1:
            whole = [i for i in own if at - past < i <= at + past]
            assert near == (whole if len(whole) > 1 else own[-2:])


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory):
    """A cut before frame 6 of 12."""
    noise = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    pictures = [videos.picture(i) for i in range(6)] + [np.roll(noise, i, 1) for i in range(6)]
    path = tmp_path_factory.mktemp("videos") / "cut.mp4"
    return videos.write(path, [Fraction(i, 25) for i in range(12)], pictures=pictures)


@pytest.mark.parametrize(
    ("at", "past", "seen"),
    [
        ("0.1", 2, [1, 2, 3, 4]),
        ("0.16", 2, [3, 4, 5]),
        ("0.2", 2, [4, 5]),
        ("0.2", 1, [4, 5]),
        ("0.24", 2, [6, 7, 8]),
        (None, 2, [4, 5]),  # the middle lies at the cut
        ("0", 1, [0, 1]),
    ],
)
def test_an_instant_is_seen_among_its_own_scene(two_scenes, at, past, seen):
    _, near, instant = cli.window(two_scenes, None if at is None else Fraction(at), past, past)
    assert [25 * f.time for f in near] == seen
    assert instant == Fraction(at or "0.2")


@pytest.mark.parametrize("at", ["0.21", "-1", "0.46"])
def test_an_instant_between_scenes_or_outside(two_scenes, at):
    with pytest.raises(TweenError, match="between two frames of one scene"):
        cli.window(two_scenes, Fraction(at), 2, 2)


@pytest.mark.parametrize("what", ["orbit", "depth", "ply"])
def test_frames_of_different_size_are_one_line(trained, tmp_path, capsys, what):
    for i, width in enumerate((64, 64, 80)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), videos.picture(i, (48, width)))
    out = tmp_path / ("x.ply" if what == "ply" else "x.mp4")
    argv = ["splat", what, tmp_path, "-o", out, "--model", trained, "--device", "cpu"]
    assert main(list(map(str, argv))) == 2
    err = capsys.readouterr().err
    assert "expected images of one size, 64x48, but" in err
    assert err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["orbit", "SOURCE", "-o", "x.mp4", "--at", "9"], "--at should lie between two frames of one scene"),
        (["orbit", "SOURCE", "-o", "x.mp4", "--frames", "1"], "two frames or more"),
        (["orbit", "SOURCE", "-o", "x.mp4", "--model", "blend"], "none; leave --model out"),
        (["ply", "SOURCE", "-o", "x.mp4"], "change its suffix"),
        (["orbit", "gone.mp4", "-o", "x.mp4"], "gone.mp4"),
        (["depth", "ONE", "-o", "x.mp4"], "two frames or more"),
        (["orbit", "ONE", "-o", "x.mp4"], "two frames or more"),
        (["ply", "SOURCE", "-o", "SOURCE"], "exists already"),
    ],
)
def test_mistakes_are_one_line(source, trained, tmp_path, monkeypatch, capsys, argv, said):
    monkeypatch.chdir(tmp_path)
    one = videos.write(tmp_path / "one.mp4", [Fraction(0)])
    words = [{"SOURCE": str(source), "ONE": str(one)}.get(a, a) for a in argv]
    if "--model" not in words:
        words += ["--model", str(trained)]
    assert main(["splat", *words, "--device", "cpu"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x.mp4").exists()


def test_other_models_see_what_they_see(source, tmp_path, capsys):
    argv = [
        "interpolate",
        source,
        "-o",
        tmp_path / "x.mp4",
        "--model",
        "blend",
        "--frames",
        "4",
        "--device",
        "cpu",
    ]
    assert main(list(map(str, argv))) == 2
    assert "this model sees 2 frames" in capsys.readouterr().err


@pytest.fixture
def cloud():
    g = torch.Generator().manual_seed(0)
    return Gaussians(
        means=torch.randn(1, 50, 3, generator=g),
        quats=torch.nn.functional.normalize(torch.randn(1, 50, 4, generator=g), dim=-1),
        scales=torch.rand(1, 50, 3, generator=g) + 0.01,
        opacity=torch.linspace(0, 0.999, 50)[None],
        colour=torch.rand(1, 50, 7, generator=g),
    )


def test_a_ply_read_again_is_what_was_written(cloud, tmp_path):
    path = tmp_path / "a.ply"
    assert write_ply(path, cloud) == 49  # one cannot be seen
    found = read_ply(path)
    for name in ("means", "quats", "scales", "opacity"):
        torch.testing.assert_close(getattr(found, name), getattr(cloud, name)[:, 1:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.colour, cloud.colour[:, 1:, :3], atol=1e-5, rtol=1e-4)


LAYOUT = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]
"""Of `point_cloud.ply` of 3DGS (its `GaussianModel.save_ply`) at degree 0, where there is no f_rest."""


def test_a_ply_is_in_the_layout_of_3dgs(cloud, tmp_path):
    """Taken apart byte by byte, and brought to life as 3DGS does: sigmoid, exp, colour = C0 f_dc + 1/2."""
    write_ply(tmp_path / "a.ply", cloud)
    data = (tmp_path / "a.ply").read_bytes()
    head, body = data.split(b"end_header\n", 1)
    assert head.decode("ascii").splitlines() == [
        "ply", "format binary_little_endian 1.0", "element vertex 49", *(f"property float {name}" for name in LAYOUT)
    ]  # fmt: skip
    rows = list(struct.iter_unpack("<17f", body))
    assert len(rows) == 49
    for i in (0, 30, 48):
        row, j = dict(zip(LAYOUT, rows[i], strict=True)), i + 1
        assert [row[k] for k in "xyz"] == pytest.approx(cloud.means[0, j].tolist())
        assert [row[k] for k in ("nx", "ny", "nz")] == [0, 0, 0]
        colour = [0.5 + row[f"f_dc_{k}"] / (2 * math.sqrt(math.pi)) for k in range(3)]
        assert colour == pytest.approx(cloud.colour[0, j, :3].tolist(), abs=1e-5)
        assert 1 / (1 + math.exp(-row["opacity"])) == pytest.approx(cloud.opacity[0, j].item(), abs=1e-5)
        assert [math.exp(row[f"scale_{k}"]) for k in range(3)] == pytest.approx(
            cloud.scales[0, j].tolist(), rel=1e-5
        )
        assert [row[f"rot_{k}"] for k in range(4)] == pytest.approx(cloud.quats[0, j].tolist())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"float x", b"double x"),
        (b"binary_little", b"binary_big"),
        (b"rot_3", b"rot_9"),
        (b"vertex 49", b"vertex 50"),
    ],
)
def test_another_layout_is_not_misread(cloud, tmp_path, old, new):
    path = tmp_path / "a.ply"
    write_ply(path, cloud)
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(TweenError, match=r"should be a binary \.ply of Gaussians"):
        read_ply(path)
