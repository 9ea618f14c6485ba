"""Our results and the papers' in one table: what is whole, what is not, and whose numbers they are."""

from tests.evaluate.results import result
from tween.evaluate.published import COLUMNS, COUNTS, markdown, measured, published
from tween.evaluate.targets import TARGETS

WHOLE = {str(n): (30.0, 0.9, 1.5) for n in range(12)}
PAPER, FLIPS = "paper protocol: 8-bit PSNR, no TTA", "ema protocol: 8-bit PSNR, TTA by a half turn"


def test_every_column_is_a_test_set_with_a_count_and_every_paper_has_all_cells():
    assert set(COLUMNS.values()) == set(COUNTS)
    for row in published():
        assert set(row.cells) == set(COUNTS)
        errors = [float(row.cells[n]) for n in ("middlebury",) if row.cells[n] != "-"]
        assert all(1.8 < e < 2.1 for e in errors), row
        for name in COUNTS.keys() - {"middlebury"}:
            psnr, _, ssim = row.cells[name].partition("/")
            assert psnr == "-" or 24 < float(psnr) < 41
            assert not ssim or 0.85 < float(ssim) < 1


def test_both_tables_have_the_same_numbers_of_vfimamba():
    row = next(row for row in published() if row.name == "VFIMamba")
    told = {t.dataset: t.vfimamba[1] for t in TARGETS if t.metric == "psnr" and t.vfimamba[1] != "-"}
    assert told
    assert {name: row.cells[name] for name in told} == told


def test_results_become_rows_by_model_protocol_and_flips():
    results = [
        result("a", "middlebury", WHOLE, PAPER),
        result("a", "vimeo", WHOLE, PAPER),
        result("a", "middlebury", WHOLE, FLIPS),
        result("a", "triplets", WHOLE, PAPER),
        {"bench": "time", "rows": [{"model": "a", "size": "x", "ms": 1.0, "parameters": 1_738_198}]},
    ]
    plain, flipped = measured(results)
    assert plain[:4] == ("a", "paper", "no", "1.7")
    assert plain.cells == {"middlebury": "1.500", "vimeo": "30.00/0.9000 (12 of 3,782)"}
    assert flipped[:3] == ("a", "ema", "yes")
    assert (
        markdown([plain]).splitlines()[0]
        == "|  | protocol | flips | M parameters | Vimeo90K | Middlebury, IE |"
    )
    assert markdown([flipped]).splitlines()[-1] == "| a | ema | yes | 1.7 | 1.500 |"
