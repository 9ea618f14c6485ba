"""Shards: what is written is read, by us and by WebDataset; what is broken is said in a sentence."""

import io
import json
import sys
import tarfile

import numpy as np
import pytest
import torch

from tests.data.test_augment import moving
from tween.core import TweenError
from tween.data.clips import Triples
from tween.data.shards import check, drawn, in_threads, read, unstacked, write
from tween.data.source import Sample


def samples(count=10, h=48, w=64, flow=True):
    """Samples that differ from each other."""
    for i in range(count):
        sample = moving(h, w, t=(i + 1) / (count + 1), step=(i, -i))
        yield sample if flow else sample._replace(flow=None)


@pytest.fixture(params=["png", "raw"])
def written(request, tmp_path):
    assert write(tmp_path / "shards", samples(), raw=request.param == "raw", per_shard=4) == 10
    return tmp_path / "shards"


def same(one, two):
    assert torch.equal(one.frames, two.frames)
    assert one.t == two.t
    assert (one.flow is None) == (two.flow is None)
    assert one.flow is None or torch.allclose(one.flow, two.flow, atol=1e-2)


def test_what_is_written_is_read(written):
    shards = read(written)
    assert [path.name for path in shards.paths] == ["000000.tar", "000001.tar", "000002.tar"]
    assert np.bincount(shards.shard).tolist() == [4, 4, 2]
    for index, sample in enumerate(samples()):
        same(shards.load(index), sample)
    assert list(written.parent.iterdir()) == [written]


def test_webdataset_reads_the_same(written):
    webdataset = pytest.importorskip("webdataset")
    shards = read(written)
    found = webdataset.WebDataset(sorted(map(str, written.glob("*.tar"))), shardshuffle=False).decode("rgb8")
    for index, (theirs, ours) in enumerate(zip(found, samples(), strict=True)):
        assert theirs["__key__"] == f"{index:08d}"
        assert theirs["json"] == {"t": ours.t}
        same(shards.load(index), ours)
        if "frames.npy" in theirs:
            frames = theirs["frames.npy"]
        else:
            frames = np.stack([theirs[f"{k}.png"] for k in ("first", "middle", "last")]).transpose(0, 3, 1, 2)
        assert np.array_equal(frames, ours.frames.numpy())


def test_a_draw_is_a_crop_and_a_function_of_its_generator(written):
    shards = read(written)
    one, two, other = (shards.draw(3, (32, 32), torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    same(one, two)
    assert one.frames.shape == (3, 3, 32, 32)
    assert not torch.equal(one.frames, other.frames)
    with pytest.raises(TweenError, match="take smaller crops"):
        shards.draw(0, (64, 32), torch.Generator())


def test_without_flow(tmp_path):
    write(tmp_path / "s", samples(2, flow=False))
    assert read(tmp_path / "s").load(1).flow is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, "end", "boundary"])
def test_a_shard_cut_short_is_a_sentence(written, share):
    path = written / "000001.tar"
    data = path.read_bytes()
    with tarfile.open(path) as tar:
        boundary = tar.getmembers()[5].offset  # all before it is whole
        last = tar.getmembers()[-1]
        end = last.offset_data + -(-last.size // 512) * 512
    keep = {"end": end, "boundary": boundary}.get(share) or int(share * end)
    path.write_bytes(data[:keep])
    with pytest.raises(TweenError, match="copy it again") as said:
        read(written)
    assert "000001.tar" in str(said.value)
    assert "\n" not in str(said.value)
    told = check(written)
    assert told.found == ("6 samples in 2 of 3 shards",)
    assert told.wrong == (str(said.value),)


def put(path, members):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


T = json.dumps({"t": 0.5}).encode()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"a.first.png": b"x", "a.middle.png": b"x", "a.json": T}, "a lacks some"),
        ({"a.frames.npy": b"x"}, "a lacks some"),
        ({"a.jpg": b"x", "a.cls": b"1"}, "has none"),
    ],
)
def test_shards_of_something_else(tmp_path, members, said):
    put(tmp_path / "s/0.tar", members)
    with pytest.raises(TweenError, match=said):
        read(tmp_path / "s")


@pytest.mark.parametrize(
    "parts",
    [
        {"frames.npy": b"junk", "json": T},
        {"first.png": b"junk", "middle.png": b"junk", "last.png": b"junk", "json": T},
        {"frames.npy": None, "json": b"{}"},
        {"frames.npy": None, "json": b"[1"},
    ],
)
def test_a_sample_that_is_broken(tmp_path, parts):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 3, 8, 8), np.uint8))
    members = {f"a.{name}": buffer.getvalue() if data is None else data for name, data in parts.items()}
    put(tmp_path / "s/0.tar", members)
    with pytest.raises(TweenError, match="sample 0"):
        read(tmp_path / "s").load(0)


def test_an_empty_folder_and_no_tar(tmp_path):
    with pytest.raises(TweenError, match="tween data shard"):
        read(tmp_path)
    assert "tween data shard" in check(tmp_path).wrong[0]
    (tmp_path / "a.tar").write_bytes(b"hello" * 300)
    with pytest.raises(TweenError, match="copy it again"):
        read(tmp_path)


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    def breaking():
        yield from samples(3)
        raise TweenError("the source ends here")

    with pytest.raises(TweenError, match="ends here"):
        write(tmp_path / "s", breaking())
    with pytest.raises(TweenError, match="none to write"):
        write(tmp_path / "s", [])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "s").mkdir()
    with pytest.raises(TweenError, match="there already"):
        write(tmp_path / "s", samples(1))
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(TweenError, match=r"tween-video\[train\]"):
        write(tmp_path / "t", samples(1))


class Numbers:
    """A source whose samples tell which they are."""

    def __len__(self):
        return 3

    def name(self, index):
        return str(index)

    def draw(self, index, size, g):
        noise = torch.randint(0, 256, (3, 3, *size), generator=g).byte()
        noise[0, 0, 0, 0] = index
        return Sample(noise, 0.5)


def test_any_source_can_be_written():
    made, again = (list(drawn(Numbers(), 7, (8, 12), seed=3, workers=w)) for w in (1, 4))
    assert [int(s.frames[0, 0, 0, 0]) for s in made] == [0, 1, 2, 0, 1, 2, 0]
    assert len({s.frames.numpy().tobytes() for s in made}) == 7
    for one, two in zip(made, again, strict=True):
        same(one, two)


def test_batches_can_be_written():
    def batch(index):
        frames = torch.full((4, 3, 3, 8, 8), index / 255)
        flow = torch.ones(4, 4, 8, 8)
        return Triples(
            frames=frames,
            t=torch.tensor([0.2, 0.4, 0.6, 0.8]),
            flow=flow,
            between=flow,
            known=torch.tensor([0.0, 1, 0, 1]),
        )

    found = list(unstacked(batch, 6))
    assert [int(s.frames[0, 0, 0, 0]) for s in found] == [0, 0, 0, 0, 1, 1]
    assert [s.flow is not None for s in found] == [False, True, False, True, False, True]
    assert found[5].t == pytest.approx(0.4)


def test_threads_keep_the_order_and_stay_only_a_little_ahead():
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    results = in_threads(lambda i: i * i, items(), 3)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(taken) <= 5 + 6
