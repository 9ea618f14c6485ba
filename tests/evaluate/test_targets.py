"""The plan's target table: every row, pass or miss by either bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate.results import result, times, written
from tween.core import TweenError
from tween.evaluate.targets import TARGETS, Bound, lines, read, verdict

# benchmark, metric, phase 1, phase 2, phase 3: section 4.4 of the plan, row by row
PLAN = """
Vimeo90K PSNR 35.0 36.0 36.0
Vimeo90K SSIM 0.975 0.978 0.978
UCF101 PSNR 34.5 35.0 35.0
SNU-FILM Easy PSNR - 39.5 39.5
SNU-FILM Medium PSNR - 35.0 35.0
SNU-FILM Hard PSNR - 30.0 30.0
SNU-FILM Hard SSIM - 0.90 0.90
SNU-FILM Extreme PSNR - 26.0 26.0
SNU-FILM Extreme SSIM - 0.85 0.85
X-TEST 4K PSNR - - 30.0
X-TEST 4K SSIM - - 0.88
X-TEST 2K PSNR - - 33.0
MiddleBury IE - report report
Inference (720p) latency, ms 60 60 -
Inference (4K) latency, ms - - 300
"""


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_every_row_of_the_plan(phase):
    for line, row in zip(lines(phase, []), PLAN.strip().splitlines(), strict=True):
        assert row.startswith(f"{line.benchmark} {line.metric}")
        asked = row.split()[-3:][phase - 1]
        assert (line.measured, line.verdict, line.verdict_mended) == ("-", "-", "-")
        if asked in ("-", "report"):
            assert line.seed == line.mended == asked
        else:
            assert float(line.seed.split()[1]) == float(asked)
            assert line.seed[0] == ("≤" if "latency" in line.metric else "≥")


def test_the_bounds_that_the_papers_numbers_move():
    mended = {line.benchmark + " " + line.metric: line.mended for line in lines(3, [])}
    assert mended["Vimeo90K PSNR"] == "≥ 35.6 (target 36)"
    assert mended["SNU-FILM Easy PSNR"] == "≥ 40"
    assert mended["SNU-FILM Medium PSNR"] == "≥ 35.9"
    assert mended["SNU-FILM Hard PSNR"] == "≥ 30.6"
    assert mended["SNU-FILM Extreme PSNR"] == "≥ 25.3"
    assert mended["X-TEST 4K PSNR"] == "≥ 30.1"
    assert mended["X-TEST 2K PSNR"] == "≥ 31.5"


def test_pass_and_miss_by_each_bound():
    results = [
        result("ours", "vimeo", {"a": (35.7, 0.98, 1.0)}),
        result("ours", "snu-film-extreme", {"a": (25.5, 0.852, 1.0)}),
        result("ours", "middlebury", {"a": (35.0, 0.98, 1.95)}),
        times(**{"ours__1280x720": 70.0, "ours__3840x2160": 310.0, "dis__1280x720": 5.0}),
    ]
    found = {(x.benchmark, x.metric): x for x in lines(2, results, "ours")}
    vimeo, extreme = found["Vimeo90K", "PSNR"], found["SNU-FILM Extreme", "PSNR"]
    assert (vimeo.measured, vimeo.verdict, vimeo.verdict_mended) == ("35.70", "miss", "pass")
    assert (extreme.verdict, extreme.verdict_mended) == ("miss", "pass")
    ssim = found["SNU-FILM Extreme", "SSIM"]
    assert (ssim.verdict, ssim.verdict_mended) == ("pass", "miss")
    assert found["MiddleBury", "IE"].measured == "1.950"
    fast = found["Inference (720p)", "latency, ms"]
    assert (fast.measured, fast.verdict, fast.verdict_mended) == ("70.0", "miss", "pass")
    late = {(x.benchmark, x.metric): x for x in lines(3, results, "ours")}
    assert late["Inference (4K)", "latency, ms"].verdict == "miss"
    assert late["Inference (720p)", "latency, ms"].verdict == "-"  # the plan asks no more for it
    assert lines(1, results[:1])[0].verdict == "pass (target)"


@given(st.floats(0, 100), st.floats(0, 100), st.booleans())
def test_verdicts(value, bound, small):
    said = verdict(value, Bound(bound), small)
    assert (said == "pass") == (value <= bound if small else value >= bound)
    assert verdict(None, Bound(bound), small) == verdict(value, None, small) == "-"


def test_datasets_are_those_of_the_protocols():
    from tween.evaluate import PROTOCOLS

    sets = {t.dataset for t in TARGETS if t.metric != "ms"}
    assert sets <= PROTOCOLS.keys()


def test_files_and_folders(tmp_path):
    a, b = result("ours", "vimeo", {"a": (35.0, 0.9, 1)}), times(ours__1280x720=1.0)
    written(tmp_path / "b.json", b)
    file = written(tmp_path / "a.json", a)
    assert read([file]) == [a]
    assert read([tmp_path]) == [a, b]
    for record in ({"rows": []}, {"dataset": "vimeo"}, [1]):
        with pytest.raises(TweenError, match="tween eval --json"):
            read([written(tmp_path / "c.json", record)])
    with pytest.raises(TweenError, match=r"absent\.json"):
        read([tmp_path / "absent.json"])


def test_of_which_model():
    results = [result(m, "vimeo", {"a": (v, 0.9, 1)}) for m, v in (("a", 35.0), ("b", 36.5))]
    assert lines(2, results, "b")[0].measured == "36.50"
    with pytest.raises(TweenError, match="results are of a, b"):
        lines(2, results)
    with pytest.raises(TweenError, match="none of the results is of 'c'"):
        lines(2, results, "c")


def test_results_that_are_not_there_are_told(tmp_path):
    with pytest.raises(TweenError, match=r"one.json is not there; write it by"):
        read([tmp_path / "one.json"])
