"""The search over the kernels' settings; what it measures needs a GPU."""

import pytest

from bench import ops_tune
from tween.ops.ssd import fused

errors = pytest.importorskip("triton.runtime.errors", reason="triton is for Linux")


@pytest.mark.parametrize("setting", [("BACKWARD", "num_warps"), ("CHUNK", "")])
def test_a_setting_stays_only_if_it_is_faster(setting, monkeypatch):
    monkeypatch.setattr(fused, "BACKWARD", dict(fused.BACKWARD))
    monkeypatch.setattr(fused, "CHUNK", 64)
    seen = []

    def score():
        seen.append(ops_tune.get(setting))
        if seen[-1] == 99:
            raise errors.OutOfResources(2, 1, "shared memory")
        return [float(seen[-1]), 1.0]

    ops_tune.put(setting, 8)
    assert ops_tune.attempt(score, setting, 16, 9.0) == 9.0
    assert ops_tune.get(setting) == 8
    assert ops_tune.attempt(score, setting, 99, 9.0) == 9.0
    assert ops_tune.get(setting) == 8
    assert ops_tune.attempt(score, setting, 4, 9.0) == 5.0
    assert ops_tune.get(setting) == 4
    assert seen == [16, 99, 4]


def test_every_trial_is_of_a_setting_there_is_and_new():
    for setting, values in ops_tune.TRIALS:
        assert ops_tune.get(setting) not in values
