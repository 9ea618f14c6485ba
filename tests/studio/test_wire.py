"""Messages: what is understood, and that nothing else breaks anything."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.core import TweenError
from tween.studio import wire

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(), x, max_size=3),
)
FIELDS = st.fixed_dictionaries(
    {"do": st.sampled_from(["input", "seen", "pause", "reset", "picture", "record", "x"])},
    optional=dict.fromkeys(("keys", "way", "at", "number", "on", "seed", "index"), JSON),
)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ({"do": "input", "keys": "WL", "way": [3, -1.5], "at": 12.5}, wire.Input("WL", (3.0, -1.5), 12.5)),
        ({"do": "seen", "number": 7}, wire.Seen(7)),
        ({"do": "pause", "on": True}, wire.Pause(True)),
        ({"do": "reset"}, wire.Reset(None)),
        ({"do": "reset", "seed": 3}, wire.Reset(3)),
        ({"do": "picture", "index": 1}, wire.Picture(1)),
        ({"do": "record", "on": False}, wire.Record(False)),
    ],
)
def test_messages(said, means):
    assert wire.heard(json.dumps(said)) == means


@settings(deadline=None)
@given(JSON.map(json.dumps) | FIELDS.map(json.dumps) | st.text() | st.just("[" * 100_000))
def test_anything_is_a_message_or_one_sentence(text):
    said = ""
    try:
        assert isinstance(wire.heard(text), wire.Message)
    except TweenError as error:
        said = str(error)
    assert not said or said.startswith("expected a message of the page")
    assert len(said) < 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_are_finite(number):
    with pytest.raises(TweenError, match="expected a message"):
        wire.heard(f'{{"do": "input", "keys": "", "way": [{number}, 0], "at": 1}}')


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.binary())
def test_a_frame_is_its_header_and_its_picture(header, picture):
    assert wire.unpacked(wire.frame(header, picture)) == (header, picture)
