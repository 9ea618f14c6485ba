"""The released world: it is what the registry says, and does as it is told."""

import pytest
import torch

import tween
from tween.evaluate.world import ORDERS, Thresholds, measure, recognise
from tween.zoo import ZOO
from tween.zoo.shards import LIMIT, digest, parts
from tween.zoo.worlds import WEIGHTS, load_codec

JUDGED = Thresholds(turn=2.76, walk=0.0144)  # calibrated on real episodes of its map, when it was judged


@pytest.fixture(scope="module")
def doom():
    return tween.world("doom", device="cpu")


def test_its_weights_are_small_and_counted(doom):
    files = parts(WEIGHTS / ZOO["doom"].file)
    sizes = [file.stat().st_size for file in files]
    assert digest(WEIGHTS / ZOO["doom"].file) == ZOO["doom"].sha256
    assert max(sizes) < LIMIT + 100_000
    assert sum(sizes) < 24_000_000
    codec = load_codec("vae-small", "cpu")
    count = {"vae-small": codec.parameters(), "doom": [*doom.filler.net.parameters(), *codec.parameters()]}
    assert {name: sum(p.numel() for p in some) for name, some in count.items()} == {
        name: ZOO[name].params for name in count
    }


def test_its_autoencoder_gives_its_pictures_back(doom):
    pictures = torch.stack(doom.pictures)[:, None]
    codec = load_codec("vae-small", "cpu")
    back = codec.decode(codec.encode(pictures)[0])[0]
    assert -10 * (back - pictures).square().mean().log10() > 25


@torch.inference_mode()
def test_it_walks_and_turns_as_it_is_told(doom):
    _, here = doom.open(seed=1).step()
    for letters, order in (("W", "walk"), ("L", "right")):
        begun, fork = here.fork().step(doom.hold(letters, len(here.due)))
        then, _ = fork.step(doom.hold(letters, len(fork.due)))
        seen = torch.cat((begun.frames[:, -1:], then.frames), 1)
        assert ORDERS[recognise(measure(seen), JUDGED)[0]] == order
