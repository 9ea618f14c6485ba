"""Ctrl-C, SIGTERM and SIGHUP end training behind the step at which they came, and nothing is lost."""

import os
import signal
import threading

import pytest

from tests.engine.test_loop import same
from tests.engine.toy import batch, toy_run
from tween.engine import train
from tween.engine.checkpoint import header
from tween.engine.interrupt import noted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers():
    """Those of a command begun in a terminal; whatever the tests run under has its own back behind them."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_is_stopped_is_saved_and_goes_on_as_if_never_stopped(tmp_path, capsys, number):
    def stopped(index):
        if index == 6:
            os.kill(os.getpid(), number)
        return batch(index)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(toy_run(whole))
    with pytest.raises(KeyboardInterrupt, match=r"stopped at step 7, saved in .*parts; the same command"):
        train(toy_run(parts, batch=stopped))  # nothing else saves it there
    assert header(parts / "last.safetensors")["step"] == 7
    assert train(toy_run(parts)).finished
    assert "last.safetensors goes on from step 7 of 12" in capsys.readouterr().out
    same(whole, parts)
    assert [signal.getsignal(n) for n in SIGNALS] == [
        signal.default_int_handler,
        signal.SIG_DFL,
        signal.SIG_DFL,
    ]


def test_a_second_one_stops_at_once(capfd):
    with noted() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert capfd.readouterr().err.count("stops behind this step") == 1


def test_what_is_ignored_stays_ignored_and_other_threads_are_left_alone():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    told = []

    def elsewhere():
        with noted() as asked:
            told.append((signal.getsignal(signal.SIGINT), asked()))

    with noted() as asked:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not asked()
        inside = signal.getsignal(signal.SIGINT)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert told == [(inside, False)]
