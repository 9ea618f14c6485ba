"""A walk by question and answer."""

import pytest

from tests.infer.worlds import turned, world
from tween.core import TweenError
from tween.models.stream.actions import GTA_DRIVE, TEMPLERUN
from tween.studio.terminal import stroll
from tween.video.read import open_reader


def decoded(path):
    with open_reader(path) as reader:
        return list(reader)


class Answers:
    """Gives answers in turn, then the end of the file; keeps the questions and what was on the disk at each."""

    def __init__(self, *answers, folder=None):
        self.answers, self.asked, self.folder, self.sizes = list(answers), [], folder, []

    def __call__(self, question):
        self.asked.append(question)
        current = self.folder / "walk_current.mp4" if self.folder else None
        self.sizes.append(len(decoded(current)) if current and current.exists() else 0)
        if not self.answers:
            raise EOFError
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def walked(tmp_path, *answers, place=None, **options):
    ask, said = Answers(*answers, folder=tmp_path), []
    made = stroll(place or world(), None, 0, tmp_path / "walk.mp4", ask=ask, say=said.append, **options)
    return made, ask, said


def test_current_holds_one_block_and_the_end_the_whole(tmp_path):
    made, ask, said = walked(tmp_path, "W", "L", "", "", "L", "", "s", "", "n")
    assert made == 33
    assert ask.sizes == [0, 0, 9, 9, 9, 12, 12, 12, 12]
    assert said == [
        f"block {i}: latents {n}, frames {f} are in {tmp_path / 'walk_current.mp4'}"
        for i, (n, f) in enumerate((("0-2", "0-8"), ("3-5", "9-20"), ("6-8", "21-32")))
    ]
    assert ask.asked[:3] == [
        "keys (W S A D Q; Enter for none): ",
        "mouse (I K J L U; Enter for none): ",
        "Enter to go on, n to end: ",
    ]
    whole = decoded(tmp_path / "walk.mp4")
    assert [frame.time for frame in whole] == [i / world().rate for i in range(33)]
    assert turned(whole[1].rgb, whole[20].rgb) == pytest.approx(19 * 2.5, abs=4)


@pytest.mark.parametrize(
    "end", [(), (KeyboardInterrupt(),), ("N",), ("no",), ("", KeyboardInterrupt()), ("", "W")]
)
def test_it_ends_on_n_ctrl_c_or_the_end_of_what_is_typed(tmp_path, end):
    made, _, _ = walked(tmp_path, "W", "", *end)
    assert made == 9
    assert len(decoded(tmp_path / "walk.mp4")) == 9


def test_who_does_not_begin_has_no_file(tmp_path):
    assert walked(tmp_path)[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_letter_is_asked_for_again(tmp_path):
    made, ask, said = walked(tmp_path, "X", "", "W", "L", "n")
    assert made == 9
    assert said[0].startswith("tween: actions are letters of")
    assert len(ask.asked) == 5


def test_the_limit_ends_it_by_itself(tmp_path):
    made, _, said = walked(tmp_path, *["W", "", ""] * 9, blocks=2)
    assert made == 21
    assert "last of 2 blocks" in said[-1]


@pytest.mark.parametrize(("mode", "questions"), [(TEMPLERUN, 1), (GTA_DRIVE, 1)])
def test_modes_that_look_with_their_keys_ask_once(tmp_path, mode, questions):
    _, ask, _ = walked(tmp_path, "W", "n", place=world(mode=mode))
    assert len(ask.asked) == questions + 1


def test_keys_are_drawn_where_wanted(tmp_path):
    place = world(size=(96, 128))
    walked(tmp_path, "W", "", "n", place=place)
    plain = decoded(tmp_path / "walk.mp4")
    walked(tmp_path, "W", "", "n", place=place, overlay=True, overwrite=True)
    drawn = decoded(tmp_path / "walk.mp4")
    assert (plain[0].rgb - drawn[0].rgb)[:, 60:, :50].abs().max() > 0.3
    assert (plain[0].rgb - drawn[0].rgb)[:, :40].abs().max() < 0.1


def test_a_file_that_is_there_is_kept(tmp_path):
    (tmp_path / "walk.mp4").write_text("mine")
    with pytest.raises(TweenError, match="exists already"):
        walked(tmp_path, "W", "")
    assert (tmp_path / "walk.mp4").read_text() == "mine"
