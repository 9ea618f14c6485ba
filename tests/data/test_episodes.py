"""Windows of episodes keep clear of cuts; shards give back what was written, or say what is wrong with them."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.data.room import episode
from tween.core import TweenError
from tween.data.episodes import Episodes, loaded, read, take, windows, write
from tween.models.interp.baselines import dis_flow


def blank(cuts):
    n, f = cuts.shape
    number = np.arange(n * f, dtype=np.uint8).reshape(n, f)
    return Episodes(
        frames=np.broadcast_to(number[..., None, None, None], (n, f, 4, 6, 3)),
        keys=np.repeat(number[..., None], 4, -1),
        mouse=np.repeat(number[..., None], 2, -1).astype(np.float32),
        pose=np.zeros((n, f, 5), np.float32),
        cuts=cuts,
        about=({"size": (6, 4)},) * n,
    )


@given(
    cuts=arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 12))),
    length=st.integers(1, 14),
    data=st.data(),
)
def test_windows_are_all_that_have_no_cut_inside(cuts, length, data):
    stride = data.draw(st.integers(1, 4))
    n, f = cuts.shape
    expected = [
        (e, i)
        for e in range(n)
        for i in range(0, f - length + 1, stride)
        if not cuts[e, i + 1 : i + length].any()
    ]
    if not expected:
        with pytest.raises(TweenError, match=f"windows of {length} frames"):
            windows(blank(cuts), length, stride=stride)
        return
    found = windows(blank(cuts), length, stride=stride)
    assert [tuple(row) for row in found] == expected
    window = take(blank(cuts), found, length)
    assert window.frames.shape == (len(found), length, 4, 6, 3)
    first = torch.tensor([e * f + i for e, i in expected])
    numbers = (first[:, None] + torch.arange(length)).to(torch.uint8)
    assert torch.equal(window.frames[..., 0, 0, 0], numbers)
    assert torch.equal(window.keys[..., 0], numbers)
    assert torch.equal(window.mouse[..., 1], numbers.float())


def test_windows_of_no_length_are_refused():
    with pytest.raises(TweenError, match="windows of 0 frames"):
        windows(blank(np.zeros((1, 5), bool)), 0)


def test_the_action_of_a_frame_leads_to_the_next():
    """Of a player who stands, turns right for 3 frames and stands, the picture moves left from the frame on at which
    the action is."""
    made = episode(["stand", "right", "stand"], hold=3)
    window = take(made, windows(made, 9), 9)
    frames = window.frames[0].permute(0, 3, 1, 2) / 255
    flow_01 = dis_flow(frames[:-1], frames[1:])[0][:, 0].flatten(1).median(1).values
    assert (flow_01[window.mouse[0, :-1, 1] > 0] < -1.5).all()
    assert (flow_01[window.mouse[0, :-1, 1] == 0] == 0).all()


@pytest.fixture(scope="module")
def room():
    one, two = episode(["walk", "left"], hold=4), episode(["stand", "right"], hold=4)
    parts = {
        k: np.concatenate([getattr(e, k) for e in (one, two)])
        for k in ("frames", "keys", "mouse", "pose", "cuts")
    }
    return Episodes(**parts, about=({**one.about[0], "number": 0}, {**two.about[0], "number": 1}))


@pytest.fixture
def shards(room, tmp_path):
    assert write(tmp_path / "episodes", [room, room], workers=2) == 4
    return tmp_path / "episodes"


def test_what_is_written_is_read(shards, room):
    found = read(shards)
    assert len(found) == 4
    for name in ("keys", "mouse", "pose", "cuts"):
        assert np.array_equal(getattr(found, name), np.concatenate([getattr(room, name)] * 2))
        assert getattr(found, name).dtype == getattr(room, name).dtype
    assert [about["number"] for about in found.about] == [0, 1, 0, 1]
    assert found.frames.shape == (4, 8, 48, 64, 3)
    whole = loaded(found)
    error = (whole.astype(float) - np.concatenate([room.frames] * 2)) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 37
    assert np.array_equal(found.frames[3, 2:5], whole[3, 2:5])
    assert found.frames[0, 3:3].shape == (0, 48, 64, 3)
    assert [path.name for path in shards.parent.iterdir()] == ["episodes"]


def test_windows_are_taken_from_shards_as_from_memory(shards):
    found = read(shards)
    places = windows(found, 5, stride=2)
    assert torch.equal(
        take(found, places, 5).frames,
        torch.from_numpy(loaded(found))[places[:, 0, None], places[:, 1, None] + np.arange(5)],
    )


def test_webdataset_reads_them_too(shards, room):
    webdataset = pytest.importorskip("webdataset")
    samples = list(webdataset.WebDataset(sorted(map(str, shards.glob("*.tar"))), shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [f"{i:08d}" for i in range(4)]
    assert np.array_equal(samples[1]["keys.npy"], room.keys[1])
    assert len(samples[1]["frames.mjpeg"]) == samples[1]["ends.npy"][-1]


def test_the_pictures_play_as_motion_jpeg(shards, tmp_path):
    import av

    with tarfile.open(next(shards.glob("*.tar"))) as tar:
        (tmp_path / "a.mjpeg").write_bytes(tar.extractfile("00000000.frames.mjpeg").read())
    with av.open(str(tmp_path / "a.mjpeg")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 8


def test_shards_appear_whole_or_not_at_all(room, tmp_path):
    def broken():
        yield room
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "episodes", broken())
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for folder, match in ((tmp_path / "file", "there already"), (tmp_path / "file" / "x", "free some space")):
        with pytest.raises(TweenError, match=match):
            write(folder, [room])


def rewritten(path, change):
    """The tar file at `path` with `change(name, bytes)` for each part; None leaves it out."""
    with tarfile.open(path) as tar:
        parts = [(m.name, tar.extractfile(m).read()) for m in tar]
    with tarfile.open(path, "w") as tar:
        for name, data in parts:
            if (data := change(name, data)) is not None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda name, data: None if name.endswith("keys.npy") else data, "00000000 lacks keys"),
        (lambda name, data: b"{" if name.endswith("json") else data, "should be a whole shard"),
        (lambda name, data: b"" if name.endswith("pose.npy") else data, "should be a whole shard"),
        (lambda name, data: None, "has none; leave it out"),
    ],
)
def test_shards_that_lack_something(shards, change, sentence):
    rewritten(shards / "000000.tar", change)
    with pytest.raises(TweenError, match=sentence):
        read(shards)


def test_a_shard_cut_short(shards):
    path = shards / "000001.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(TweenError, match="copy it again"):
        read(shards)


def test_pictures_that_are_none(shards):
    rewritten(shards / "000000.tar", lambda name, data: bytes(len(data)) if name.endswith("mjpeg") else data)
    with pytest.raises(TweenError, match="pictures of an episode"):
        loaded(read(shards))


def test_a_folder_of_several_lengths(shards):
    def longer(name, data):
        return json.dumps({**json.loads(data), "size": (80, 60)}).encode() if name.endswith("json") else data

    rewritten(shards / "000000.tar", longer)
    with pytest.raises(TweenError, match=r"\(8, 64, 48\) and \(8, 80, 60\)"):
        read(shards)


def test_a_folder_without_shards(tmp_path):
    with pytest.raises(TweenError, match="tween data record doom"):
        read(tmp_path)
