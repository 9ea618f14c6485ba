"""Stages at the same time: order, bounds, errors once, and threads that end."""

import threading
import time

import pytest

from tween.infer.overlap import Meter, ahead


def test_order_and_count():
    meter = Meter()
    with ahead(range(50), 4, meter) as items:
        assert list(items) == list(range(50))
    assert meter.count == 50


def test_no_more_than_depth_in_advance():
    made = []

    def source():
        for i in range(30):
            made.append(i)
            yield i

    with ahead(source(), 3) as items:
        for i in items:
            time.sleep(0.002)
            assert len(made) <= i + 1 + 3 + 1


def test_an_error_is_raised_once_where_it_is_consumed():
    def source():
        yield 1
        raise ValueError("broken")

    got = []
    with pytest.raises(ValueError, match="broken"), ahead(source(), 2) as a, ahead((x for x in a), 2) as b:
        got.extend(b)
    assert got == [1]


def test_leaving_early_ends_the_threads_and_closes_the_source():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    with ahead(source(), 2) as a, ahead((x for x in a), 2) as b:
        next(b)
    assert threading.active_count() == before
    assert closed.is_set()


def test_stages_overlap():
    """The third is at the first item while the second is at the next and the first at the one after that."""
    together = threading.Barrier(3, timeout=30)

    def stage(items, meeting):
        for item in items:
            if item == meeting:
                together.wait()
            yield item

    with ahead(stage(range(15), 2), 2) as a, ahead(stage(a, 1), 2) as b:
        assert list(stage(b, 0)) == list(range(15))
