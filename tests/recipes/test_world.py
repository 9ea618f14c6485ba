"""The whole chain at toy size: from the engine to a world that can be walked in."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tween.core import TweenError
from tween.data.episodes import Window
from tween.data.record_doom import Doom
from tween.engine import checkpoint
from tween.models.stream.config import DOOM, ActionConfig
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, even
from tween.nn.vae import SMALL
from tween.recipes.stream import distil, draws
from tween.recipes.world import PARTS, Plan, doom, sitting
from tween.zoo.worlds import load_world

ACTION = ActionConfig(layers=1, width=16, heads=2, embed=4, modulate=True)
TOY = Plan(
    record=Doom(seconds=16, seed=6, kinds=("held",), maps=()),
    episodes=2,
    held=4,
    processes=1,
    minutes=(1, 1, 1),
    steps=(2, 1, 1),
    vae=replace(SMALL, latent=4, width=4, decoder_width=4, multipliers=(1, 1, 1)),
    net=replace(DOOM, channels=4, width=24, layers=2, heads=2, ffn=32, action=ACTION),
    length=9,
    learn=5,
    latents=6,
    stride=40,
    batches=(1, 2, 2),
    many=even(1, shift=5.0),
    few=Sampling(steps=(1000,)),
    rollouts=4,
    walks=1,
    device="cpu",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("world")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    facts = doom(out / "out", replace(TOY, runs=out / "runs"))
    yield out, facts
    torch.set_num_threads(threads)


def test_every_part_is_there_in_half_precision(made):
    out, _ = made
    for name in PARTS:
        values, head = checkpoint.read(out / "out" / f"{name}.safetensors")
        assert head["kind"] == "lean"
        assert all(v.dtype == torch.float16 for v in values.values() if v.is_floating_point())
    assert not any("critic" in name for name in values)


def test_what_was_measured(made):
    out, facts = made
    assert json.loads((out / "out" / "metrics.json").read_text()).keys() == facts.keys()
    assert facts["recorded"]["frames"] == 6 * 280
    assert [facts[part]["step"] for part in ("autoencoder", "network", "student")] == [2, 1, 1]
    assert 0.9 <= facts["real"]["obeyed"] <= 1
    assert facts["real"]["sharpness"][0] > facts["real"]["sharpness"][1], "the autoencoder blurs"
    assert 0 < facts["autoencoder"]["psnr"] < 30
    for world in facts["judged"].values():
        assert 0 <= world["obeyed"] <= 1
        assert (
            world["psnr"] < world["repeated"] < world["turned"]
        )  # untrained; the baselines are those of Doom
    sheet = Image.open(out / "out" / "sheet.png")
    assert sheet.size == (9 * 128, (4 * 3 + 2) * (96 + 14))


def test_the_world_can_be_walked_in(made):
    out, _ = made
    world = load_world(out / "out" / "doom-world.safetensors", "cpu")
    assert (world.size, world.rate, len(world.pictures)) == ((96, 128), 17.5, 4)
    clip, _ = world.open(seed=1).step(world.hold("WL", 1))
    assert clip.frames.shape == (1, 1, 3, 96, 128)


def test_a_later_sitting_takes_what_is_there(made, tmp_path):
    """Without the full checkpoints: of another machine."""
    out, _ = made
    codec = f"{PARTS[0]}.safetensors"
    (tmp_path / codec).write_bytes((out / "out" / codec).read_bytes())
    plan = replace(TOY, minutes=(1, 0, 0), steps=(3, None, None), episodes=1, runs=tmp_path / "runs")
    facts = doom(tmp_path, plan)
    assert facts["autoencoder"]["step"] == 3
    assert facts.keys() == {"recorded", "autoencoder"}


@pytest.fixture
def latents():
    g = torch.Generator().manual_seed(0)
    keys = torch.zeros(4, 21, 4, dtype=torch.uint8)
    return Window(torch.randn(4, 6, 4, 4, 6, generator=g).half(), keys, torch.zeros(4, 21, 2))


def test_a_student_without_its_critic_begins_anew(latents, tmp_path):
    torch.manual_seed(0)
    net = StreamNet(TOY.net)

    def run(runs):
        return distil(
            batch=draws(latents, batch_size=2), teacher=net, device="cpu", batch_size=2, steps=1, runs=runs
        )

    sitting(run(tmp_path / "one"), 1, 1, tmp_path)
    kept, head = checkpoint.read(tmp_path / "student.safetensors")
    assert head["step"] == 1
    assert {name.split(".")[0] for name in kept} == {"weights/net"}
    assert sitting(run(tmp_path / "two"), 1, 2, tmp_path)["step"] == 2


def test_a_student_that_fails_costs_only_itself(made, tmp_path, monkeypatch):
    out, _ = made
    for name in PARTS[:2]:
        (tmp_path / f"{name}.safetensors").write_bytes((out / "out" / f"{name}.safetensors").read_bytes())

    def fails(**_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("tween.recipes.world.distil", fails)
    facts = doom(tmp_path, replace(TOY, minutes=(0, 0, 1), episodes=1, runs=tmp_path / "runs"))
    assert facts["student"] == {"failed": ["CUDA out of memory"]}
    assert facts["world"]["is"] == "many"
    assert load_world(tmp_path / "doom-world.safetensors", "cpu").filler.sampling == TOY.many


def test_a_part_without_minutes_or_weights(tmp_path):
    with pytest.raises(TweenError, match="should hold vae-small"):
        doom(tmp_path, replace(TOY, minutes=(0, 0, 0), episodes=1))
