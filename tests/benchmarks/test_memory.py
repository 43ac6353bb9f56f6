"""The benchmark's artifacts are of full width and right, and what it measures is the process it starts."""

import contextlib
import io
import sys

import pytest

from benchmarks import memory
from pipeline.__main__ import main as pipeline_main
from pipeline.artifact import read
from pipeline.captioning.graph_set import IN_MEMORY_BYTES, load_graphs
from pipeline.schemas import GRAPHS
from pipeline.stages import convert_graphs


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    memory.make(folder, 70)
    names = ("nodes", "motion", "spatial", "temporal")
    convert_graphs.run(*(folder / f"{name}.zarr" for name in names), folder / "graphs.zarr")
    return folder / "graphs.zarr"


def test_graphs_are_of_full_width(graphs):
    known = load_graphs([graphs])
    assert len(known) == 70
    assert known["video0"].x.shape == (180, 512)
    assert known["video0"].motion.shape == (20, 1024)
    assert known["video0"].num_edges == 81 * 20 + 81 * 19
    assert known["video0"].x.ne(known["video1"].x).any()
    store = read(graphs, GRAPHS)
    a_video = sum(store.num_bytes(name) for name in GRAPHS.arrays) / 70
    assert a_video == pytest.approx(0.21e6, rel=0.25)
    assert 10_000 * a_video > 2 * IN_MEMORY_BYTES  # so that the loader has to read from disk


@pytest.mark.parametrize("in_memory_bytes", [None, 0])
def test_an_epoch_is_loaded(graphs, in_memory_bytes):
    counted = memory.load(graphs, in_memory_bytes)
    assert counted["videos"] == 70
    assert counted["bytes"] > 64 * 4 * (180 * 512 + 20 * 1024)  # float32, and what is not features


@pytest.mark.slow
def test_the_peak_is_that_of_the_process():
    script = "import time; block = b'x' * 300_000_000; print(len(block)); time.sleep(0.2)"
    found = memory.measure([sys.executable, "-c", script])
    assert found.output == "300000000\n"
    assert found.seconds > 0.2
    assert found.peak > 300_000_000


@pytest.mark.slow
def test_a_command_that_fails_ends_the_benchmark():
    with pytest.raises(SystemExit, match="exit code 3"):
        memory.measure([sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.parametrize(("loader_peak", "verdict"), [(1_900_000_000, "stay below"), (2_000_000_000, "EXCEED")])
def test_the_report(tmp_path, capsys, monkeypatch, loader_peak, verdict):
    """The commands are run here, one after another, and the peaks are given."""

    def run_here(command):
        module, arguments = command[2], [str(part) for part in command[3:]]
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = {"pipeline": pipeline_main, "benchmarks.memory": memory.main}[module](arguments)
        assert code == 0
        peak = 3_000_000_000 if "--in-memory" in arguments else loader_peak if "--load" in arguments else 10**9
        return memory.Run(peak, 2.0, output.getvalue())

    monkeypatch.setattr(memory, "measure", run_here)
    assert memory.main(["--videos", "3", "--folder", str(tmp_path)]) == (0 if verdict == "stay below" else 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 videos of random artifacts made in 2 s"
    assert lines[2].split() == ["convert_graphs", "1000", "2.0", "2"]
    assert lines[3].split()[:3] == ["loader", str(loader_peak // 10**6), "2.0"]
    assert lines[4].split()[:6] == ["loader,", "all", "in", "memory", "3000", "2.0"]
    assert lines[5] == f"convert_graphs and loader {verdict} 2 GB"
    assert list(tmp_path.iterdir()) == []
