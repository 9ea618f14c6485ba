"""Latents with text in shards: written and read back, in the plan's layout, and what is wrong said in a sentence."""

import io
import tarfile

import numpy as np
import pytest
import torch

from tween.core import TweenError
from tween.data.latents import Latents, read, write


def made(n=5, text=True):
    clips = torch.randn(n, 3, 4, 2, 2).half()
    embeds = torch.randn(n, 6) if text else None
    return Latents(
        clips=clips, text=embeds, prompts=tuple(f"clip {i}" for i in range(n)) if text else ("",) * n
    )


@pytest.mark.parametrize("text", [True, False])
def test_written_and_read_back(tmp_path, text):
    own = made(text=text)
    paths = write(tmp_path, own, each=2)
    assert [p.name for p in paths] == ["shard-00000.tar", "shard-00001.tar", "shard-00002.tar"]
    found = read(tmp_path)
    assert torch.equal(found.clips, own.clips)
    assert found.prompts == own.prompts
    assert (found.text is None) if own.text is None else torch.equal(found.text, own.text)
    assert len(read(tmp_path, most=3).clips) == 3


def test_webdataset_reads_them(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    own = made(3)
    write(tmp_path, own)
    rows = list(webdataset.WebDataset(str(tmp_path / "shard-00000.tar"), shardshuffle=False).decode())
    assert [row["txt"] for row in rows] == list(own.prompts)
    assert torch.equal(torch.from_numpy(rows[1]["latent.npy"]), own.clips[1])


def add(tar, name, array):
    file = io.BytesIO()
    np.save(file, array)
    info = tarfile.TarInfo(name)
    info.size = file.tell()
    file.seek(0)
    tar.addfile(info, file)


def test_embeddings_of_tokens_are_averaged(tmp_path):
    tokens = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "0.latent.npy", np.zeros((3, 4, 2, 2)))
        add(tar, "0.embed.npy", tokens)
    torch.testing.assert_close(read(tmp_path).text[0], torch.from_numpy(tokens.mean(0)))


def test_what_is_wrong_is_a_sentence(tmp_path):
    with pytest.raises(TweenError, match="has none"):
        read(tmp_path)
    (tmp_path / "a.tar").write_bytes(b"no tar at all")
    with pytest.raises(TweenError, match="cannot be read"):
        read(tmp_path)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "0.latent.npy", np.zeros((3, 4, 2, 2)))
        add(tar, "1.latent.npy", np.zeros((3, 4, 2, 3)))
    with pytest.raises(TweenError, match="of one size"):
        read(tmp_path)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for key in "01":
            add(tar, f"{key}.latent.npy", np.zeros((3, 4, 2, 2)))
        add(tar, "1.embed.npy", np.zeros(4))
    with pytest.raises(TweenError, match="1 of 2 have one"):
        read(tmp_path)
