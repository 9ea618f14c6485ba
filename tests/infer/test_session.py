"""A session is a value: exact times, forks, files, and nothing that grows."""

import gc
import pickle
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.counting import Work
from tests.infer.worlds import RATE, SIZE, Panorama, picture, turned
from tween.core import TweenError
from tween.infer import session
from tween.models.stream.actions import UNIVERSAL, Actions, hold, read


def opened(filler=None, seed=0, rate=RATE):
    return session.open(filler or Panorama(), picture(seed), seed, rate=rate)


def step(here, letters):
    return here.step(hold(read(letters, UNIVERSAL), len(here.due)))


@settings(max_examples=30, deadline=None)
@given(block=st.integers(1, 5), rate=st.fractions(1, 120), blocks=st.integers(1, 4))
def test_frame_i_is_shown_at_i_over_the_rate(block, rate, blocks):
    here, times = opened(Panorama(block), rate=rate), []
    for _ in range(blocks):
        clip, here = here.step()
        times += clip.times
    assert times == [Fraction(i) / rate for i in range(1 + 4 * (block * blocks - 1))]


def test_nine_frames_then_twelve():
    here, found = opened(), []
    for _ in range(3):
        found.append(len(here.due))
        _, here = here.step()
    assert found == [9, 12, 12]


@pytest.mark.parametrize(("letters", "degrees"), [("L", 27.5), ("J", -27.5), ("W", 0.0)])
def test_the_world_turns_as_it_is_told(letters, degrees):
    _, here = step(opened(), letters)
    clip, here = step(here, letters)
    assert turned(clip.frames[0, 0], clip.frames[0, -1]) == pytest.approx(degrees, abs=0.01)


def test_the_filler_is_shown_the_last_frame_and_its_time():
    seen = []

    class Watched(Panorama):
        def fill(self, state, known, known_t, query_t, cond=None):
            seen.append((known, *known_t))
            return super().fill(state, known, known_t, query_t, cond)

    one, here = opened(Watched()).step()
    two, here = here.step()
    here.step()
    assert [at for _, at in seen] == [0, 8 / RATE, 20 / RATE]
    assert torch.equal(seen[0][0][0, 0], picture())
    assert torch.equal(seen[1][0], one.frames[:, -1:])
    assert torch.equal(seen[2][0], two.frames[:, -1:])


def test_a_session_is_stepped_once():
    here = opened()
    here.step()
    for use in (here.step, here.fork, lambda: here.due, lambda: here.save("x")):
        with pytest.raises(TweenError, match="stepped once"):
            use()


def test_a_fork_goes_its_own_way():
    _, here = step(opened(), "L")
    fork = here.fork()
    left, _ = step(here, "J")
    right, fork = step(fork, "L")
    assert turned(left.frames[0, -1], right.frames[0, -1]) == pytest.approx(2 * 27.5, abs=0.01)
    straight, _ = step(step(step(opened(), "L")[1], "L")[1], "W")
    assert torch.equal(straight.frames, step(fork, "W")[0].frames)


def test_a_saved_session_goes_on_as_if_it_had_not_stopped(tmp_path):
    _, here = step(opened(seed=5), "WL")
    file = tmp_path / "here.session"
    here.save(file)
    back = session.load(file, Panorama())
    assert (back.at, back.rate) == (here.at, here.rate)
    for letters in ("W", "J"):
        (kept, back), (went, here) = step(back, letters), step(here, letters)
        assert torch.equal(kept.frames, went.frames)
        assert kept.times == went.times
    assert list(tmp_path.iterdir()) == [file]


def test_several_players_at_once_are_each_by_themselves():
    together = session.open(Panorama(), torch.stack((picture(0), picture(0))), 0, rate=RATE)
    keys, mouse = torch.zeros(2, 9, 4), torch.zeros(2, 9, 2)
    mouse[1, :, 1] = 0.1
    clip, _ = together.step(Actions(keys, mouse))
    alone, _ = step(opened(), "L")
    assert torch.equal(clip.frames[1:], alone.frames)
    assert torch.equal(clip.frames[0], opened().step()[0].frames[0])


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_file_that_is_no_session_is_one_sentence_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bomb").write_bytes(pickle.dumps(Bomb()))
    torch.save({"tween": 1, "filler": "Panorama", "state": Bomb(), "at": "0", "rate": "1"}, "zipped")
    Path("text").write_text("W\nA\n")
    torch.save({"weights": torch.zeros(3)}, "weights")
    for name in ("bomb", "zipped", "text", "weights", "absent"):
        with pytest.raises(TweenError, match="expected a saved session") as error:
            session.load(name, Panorama())
        assert "\n" not in str(error.value)
    assert not Path("exploded").exists()


def test_a_session_of_another_filler(tmp_path):
    class Other(Panorama):
        pass

    opened().save(tmp_path / "a")
    with pytest.raises(TweenError, match=r"session of .*Other, but .* is one of Panorama"):
        session.load(tmp_path / "a", Other())


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(TweenError, match="could not be saved"):
        opened().save(tmp_path / "nowhere" / "a")


@pytest.mark.parametrize("shape", [(3, 47, 64), (3, 48, 60), (48, 64), (1, 1, 3, 48, 64)])
def test_a_picture_of_the_wrong_shape(shape):
    with pytest.raises(TweenError, match="divide by 8"):
        session.open(Panorama(), torch.zeros(shape), 0, rate=RATE)


def test_memory_and_work_stay_flat_over_10_000_frames():
    """Live tensors, resident memory and what a step computes, after the first 100 blocks and at the end."""
    here, shown, steps, work, live, resident = (
        session.open(Panorama(), picture(), rate=RATE),
        0,
        0,
        [],
        [],
        [],
    )
    action = hold(read("WL", UNIVERSAL), 12)
    while shown < 10_000:
        counted = Work() if steps in (99, 832) else nullcontext()
        with counted:
            clip, here = here.step(action[: len(here.due)])
        shown, steps = shown + len(clip.times), steps + 1
        if isinstance(counted, Work):
            work.append((counted.calls, counted.values))
            gc.collect()
            live.append(sum(type(x) is torch.Tensor for x in gc.get_objects()))
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    assert shown >= 10_000
    assert clip.times[-1] == Fraction(shown - 1) / RATE
    assert live[1] <= live[0]
    assert resident[1] - resident[0] < 8 * 2**20, "a frame is 0.04 MB, so 9,000 kept ones are 350 MB"
    assert work[1] == work[0]
    assert work[0][1] > 12 * 3 * SIZE[0] * SIZE[1]
    assert clip.frames.shape == (1, 12, 3, *SIZE)
