"""Weights by URL from a server of our own: fetched once, never half, and one line when it does not work."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import WeightsUrl
from pipeline.errors import PipelineError
from pipeline.weights.fetching import cached_path, fetch, locate_weights

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Files of a folder by HTTP, and which were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                if self.path == "/cut.pt":  # the connection ends in the middle
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(CONTENT)))
                    self.end_headers()
                    self.wfile.write(CONTENT[:1000])
                else:
                    super().do_GET()

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def source(self, name: str = "i3d.pt", sha256: str = DIGEST) -> WeightsUrl:
        return WeightsUrl(url=f"http://127.0.0.1:{self.http.server_port}/{name}", sha256=sha256)

    def stop(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves `i3d.pt`; the working folder is another, empty one."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "i3d.pt").write_bytes(CONTENT)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server(tmp_path / "served")
    yield running
    if running.thread.is_alive():
        running.stop()


def kept() -> list[str]:
    """All files below the working folder."""
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def refusal(source: WeightsUrl) -> str:
    with pytest.raises(PipelineError) as caught:
        fetch(source)
    assert "\n" not in str(caught.value)
    assert source.url in str(caught.value)
    return str(caught.value)


def test_fetched_once_and_kept(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    path = fetch(server.source())
    assert path == Path("weights") / DIGEST[:16] / "i3d.pt"
    assert path.read_bytes() == CONTENT
    assert "fetched 1.3 MB" in capsys.readouterr().err
    server.stop()  # and now there is no network
    assert fetch(server.source()) == path
    assert locate_weights(server.source()) == str(path)
    assert server.asked == ["/i3d.pt"]
    assert kept() == [str(path)]


def test_a_file_put_there_by_hand_is_used(server: Server) -> None:
    path = cached_path(server.source())
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch(server.source()) == path
    assert server.asked == []


def test_another_digest_is_said_and_nothing_kept(server: Server) -> None:
    wrong = "0" * 64
    said = refusal(server.source(sha256=wrong))
    assert f"has SHA-256 {DIGEST}, expected {wrong}" in said
    assert "correct `sha256`" in said
    assert kept() == []


def test_no_such_file_on_the_server(server: Server) -> None:
    said = refusal(server.source("none.pt"))
    assert "cannot be fetched (404 Client Error: File not found)" in said
    assert f"expected a file with SHA-256 {DIGEST}" in said
    assert kept() == []


def test_no_server(server: Server) -> None:
    server.stop()
    said = refusal(server.source())
    assert "cannot be fetched (" in said
    assert "onnection refused" in said
    assert f"put the file at weights/{DIGEST[:16]}/i3d.pt" in said
    assert kept() == []


def test_half_a_download_is_not_kept(server: Server) -> None:
    assert "cannot be fetched (" in refusal(server.source("cut.pt"))
    assert kept() == []


def test_a_damaged_copy_is_replaced_or_said(server: Server) -> None:
    path = cached_path(server.source())
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    assert fetch(server.source()).read_bytes() == CONTENT
    path.write_bytes(b"damaged")
    server.stop()
    said = refusal(server.source())
    assert f"the copy at {path} is damaged: it has SHA-256 {hashlib.sha256(b'damaged').hexdigest()}" in said


def test_a_folder_that_cannot_be_written_is_one_line(server: Server) -> None:
    Path("weights").write_text("a file where the folder should be")
    assert "cannot be fetched (" in refusal(server.source())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/rgb_imagenet.pt?download=1#x", "rgb_imagenet.pt"),
        ("my%20weights%2Ffinal.bin", "final.bin"),
        ("..%2F..", "weights"),
        ("", "weights"),
        ("x" * 300 + ".pt", "x" * 97 + ".pt"),
        ("gewicht\u00e9.pt", "gewicht_.pt"),
    ],
)
def test_name_of_the_kept_file(path: str, name: str) -> None:
    source = WeightsUrl(url=f"https://example.org/{path}", sha256=DIGEST)
    assert cached_path(source) == Path("weights") / DIGEST[:16] / name


def test_words_and_paths_stay_as_they_are() -> None:
    assert [locate_weights(word) for word in ("random", "openai", "data/i3d.pt")] == ["random", "openai", "data/i3d.pt"]
