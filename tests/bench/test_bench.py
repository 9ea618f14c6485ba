"""The suites run at toy size, and tables say what was measured."""

import json

import av
import pytest
import torch

from bench import clips, common, cpu_720p, end_to_end, gpu_latency, quality, report, rife
from tests.data.test_triplets import scene
from tween.evaluate.steps import moving
from tween.evaluate.timing import Timing, summary


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """Nothing measured here may pass for a result."""
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in moving((48, 64), count=6):
            picture = (frame * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_rife_has_its_published_sizes():
    net = rife.Rife()
    assert sum(p.numel() for p in net.flow.parameters()) == 6_821_835
    assert net.eval()(torch.rand(1, 3, 64, 96), torch.rand(1, 3, 64, 96), 0.3).shape == (1, 3, 64, 96)


def test_rife_at_no_motion_and_no_residual_is_the_blend():
    net = rife.Rife().eval()
    for layer in (*(block.last for block in net.flow), net.last):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    a, b = torch.rand(2, 1, 3, 32, 64)
    with torch.inference_mode():
        assert torch.allclose(net(a, b), (a + b) / 2, atol=1e-5)


def test_a_result_says_where_and_how(results, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--clip", "/home/someone/clip.mp4", "--runs", "5"])
    record = json.loads(common.save("suite", [{"t": summary([1.0, 1.0])}], size="8x8").read_text())
    assert record["rows"] == [{"t": {"median": 1.0, "iqr": 0.0, "least": 1.0, "n": 2, "cpu": None}}]
    assert record["command"].endswith("--clip clip.mp4 --runs 5")
    assert record["machine"]["cpu"]
    assert record["versions"]["torch"] == torch.__version__
    assert common.load("suite") == record
    assert common.load("other") is None


def test_cpu_suite(results, monkeypatch):
    monkeypatch.setattr(cpu_720p, "SIZE", (64, 96))
    cpu_720p.main(["--runs", "2", "--models"])
    methods = {row["method"] for row in common.load("cpu_720p")["rows"]}
    assert methods == {"minterpolate", "blend", "dis", "RIFE's layers fp32", "RIFE's layers bf16"}
    assert "| blend |" in report.table("cpu_720p")


def test_gpu_suite_on_a_cpu(results):
    gpu_latency.main(["--models", "--sizes", "64x32", "70x40", "--runs", "1", "--device", "cpu"])
    rows = common.load("gpu_latency")["rows"]
    assert [row["size"] for row in rows] == ["64x32"] * 2 + ["70x40"] * 2
    assert all(row["ms"] > 0 for row in rows)
    assert report.table("gpu_latency").startswith("|  | 64x32 | 70x40 |")


def test_what_the_gpu_suite_times_makes_a_frame(results, monkeypatch):
    made = []

    def timed(run, *_):
        run()
        made.append(run())
        return Timing(1, 0, 1, 1), 0

    monkeypatch.setattr(gpu_latency, "measure", timed)
    gpu_latency.main(["--models", "--sizes", "64x32", "--device", "cpu"])
    assert [frame.shape for frame in made] == [(1, 3, 32, 64)] * 2


def test_quality_suite(results, tmp_path):
    scene(tmp_path / "a", sizes=((64, 48),) * 3)
    quality.main(["--path", str(tmp_path), "--name", "toy", "--models"])
    rows = {row["method"]: row for row in common.load("quality_toy")["rows"]}
    assert rows.keys() == {"blend", "minterpolate", "dis"}
    assert rows["blend"]["psnr"] > 40
    assert "| dis |" in report.table("quality_toy")


def test_a_whole_video(results, video):
    end_to_end.main(["--clip", str(video), "--fps", "20", "--models", "blend", "--device", "cpu"])
    (row,) = common.load("end_to_end_cpu")["rows"]
    assert row["frames"] == 12
    assert row["mib"] > 50
    assert "64x48" in report.table("end_to_end_cpu")


def test_tables_are_put_between_their_marks(results):
    row = {"method": "dis", "psnr": 26.1, "ssim": 0.88, "ie": 7.0}
    common.save("quality_toy", [row])
    marks = "<!-- bench:{} -->\n{}\n<!-- /bench -->\n"
    text = "before\n" + marks.format("quality_toy", "old") + marks.format("gpu_latency", "kept")
    once = report.fill(text)
    assert "old" not in once
    assert "| dis | 26.10 | 0.880 | 7.00 |" in once
    assert "kept" in once
    assert report.fill(once) == once


def test_real_frames_are_scaled(video):
    frames = clips.real(video, (24, 32), count=3)
    assert frames.shape == (3, 3, 24, 32)
    assert 0.2 < frames.mean() < 0.8
