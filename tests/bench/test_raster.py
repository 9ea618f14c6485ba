"""The suite of the rasteriser at toy size, and its table."""

import json

from bench import common, raster, report


def test_backends_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(
        raster.fused, "INTERPRETED", False
    )  # kernels as a CPU without the tests' interpreter has them
    monkeypatch.setitem(raster.CASES, "cpu", [raster.Case(16, 24, 2)])
    raster.main(["--device", "cpu", "--runs", "1"])
    result = json.loads((tmp_path / "raster_cpu.json").read_text())
    assert [row["backward"] for row in result["rows"]] == [False, True]
    assert all(row["gaussians"] == 768 and row["megapixels_per_s"] > 0 for row in result["rows"])
    assert max(result["agreement"]["torch"]) < 1e-4
    assert any("gsplat" in note for note in result["notes"])  # not here, and it is said
    head, _, forward, backward, _, where = report.table("raster_cpu").splitlines()
    assert head == "|  | with backward | torch |"
    assert forward.startswith("| 24x16, 2 frames: 768 Gaussians | no | ")
    assert backward.startswith("| 24x16, 2 frames: 768 Gaussians | yes | ")
    assert "`python -m " in where


def test_a_backend_that_was_not_there_leaves_a_gap():
    def row(backend, ms):
        return {"case": "9x8, 1 frames", "gaussians": 72, "backend": backend, "backward": ms > 1,
                "seconds": {"median": ms / 1e3}, "megapixels_per_s": 2.0, "mib": 3.4}  # fmt: skip

    rows = [row("torch", 1), row("gsplat", 1), row("torch", 2.5), row("triton, tile 4, warps 1 and 1", 1)]
    assert report.raster({"rows": rows}).splitlines()[2:] == [
        "| 9x8, 1 frames: 72 Gaussians | no | 1.00 ms, 2.00 Mpx/s, 3 MiB | 1.00 ms, 2.00 Mpx/s, 3 MiB |",
        "| 9x8, 1 frames: 72 Gaussians | yes | 2.50 ms, 2.00 Mpx/s, 3 MiB | - |",
    ]
