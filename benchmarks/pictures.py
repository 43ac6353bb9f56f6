"""Draw the three pictures of the README from the results of the demo: `make pictures`.

    python -m benchmarks.pictures --results results --out docs/pictures

`graph.png` shows an action graph as the captioner reads it, with the caption that was generated from it. `report.png`
is the top of the report page in Chromium, and `words.png` a video of it with the nodes that a word was said for, which
the overlay `configs/shapes_explained.yaml` adds. All are palette images of at most `MAX_BYTES`.

Shapes: N nodes, E edges.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray
from PIL import Image

from pipeline.artifact import read, read_json
from pipeline.errors import PipelineError
from pipeline.models.action_graph import TO_NEXT_FRAME
from pipeline.schemas import FRAMES, GRAPHS
from pipeline.workflow.paths import ARTIFACTS

VIDEO = "test-00006"  # of the demo's test split
EXPLAINED, METHOD = "test-00032", "grid_words"  # one of the videos whose words are explained
COLOUR = 1  # place of the colour in a caption: "a green star ..."
NUM_FRAMES = 4
MAX_BYTES = 200_000
NAMES = {
    "dataset": "shapes",
    "sampling": "action",
    "graph": "grid",
    "experiment": "grid",
    "trial": "grid",
    "split": "test",
}

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE_WIDTH, PAGE_HEIGHT = 1280, 1420  # pixels

INK, WITHIN, BETWEEN = "#24292f", "#8bd3ff", "#d9480f"
PLANE = np.array([[0.62, 0.2], [0.0, 1.0]])  # a frame's width and height, drawn askew so that edges stay apart
NEXT = (1.0, 0.0)  # step from a frame to the next


class Scene(NamedTuple):
    """What `graph.png` shows.

    Attributes:
        pictures: The first sampled frames, each `[H, W, 3]` in u1.
        graph: The video's rows of a `graphs` artifact.
        caption: The caption that was generated.
        reference: A caption that a person wrote, or here the generator.
    """

    pictures: list[NDArray[np.uint8]]
    graph: dict[str, NDArray[Any]]
    caption: str
    reference: str


def read_scene(results: Path, video_id: str) -> Scene:
    """Read a video of the demo's test split.

    Raises:
        PipelineError: if the demo is not finished in this folder, or has no such video.
    """

    def place(kind: str) -> Path:
        return results / Path(ARTIFACTS[kind].format(**NAMES)).relative_to("results")

    captions = read_json(place("generated"), ["captions"], "generate_captions")["captions"]
    references = read_json(place("captions"), ["captions"], "index_captions")["captions"]
    for root in sorted(results.glob(ARTIFACTS["graphs"].format(**NAMES, shard="*").removeprefix("results/"))):
        graphs = read(root, GRAPHS)
        if video_id in graphs.ids and video_id in captions:
            shard = root.parent.stem
            frames = read(
                results / ARTIFACTS["frames"].format(**NAMES, shard=shard).removeprefix("results/"), FRAMES
            ).video(video_id)
            height, width = frames["size"][0]
            pictures = list(frames["pixels"].reshape(-1, height, width, 3)[:NUM_FRAMES])
            return Scene(pictures, graphs.video(video_id), captions[video_id], references[video_id][0])
    raise PipelineError(f"{results}: no graph and caption of video {video_id}, expected the finished demo: make demo")


def node_places(graph: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Place each node at the centre of its box in the plane of its frame, `[N, 2]`."""
    box_N4 = graph["box"].astype(np.float64)
    centre_N2 = (box_N4[:, :2] + box_N4[:, 2:]) / 2
    return centre_N2 @ PLANE + np.outer(graph["node_frame"], NEXT)


def draw_graph(scene: Scene) -> Figure:
    """Draw frames one after another, their nodes, the edges within each frame, and those to the next by weight."""
    num_frames = len(scene.pictures)
    far = PLANE.sum(axis=0) + (num_frames - 1) * np.array(NEXT)
    figure = Figure(figsize=(12.8, 5.0), dpi=100)
    axes = figure.add_axes((0.0, 0.17, 1.0, 0.83))
    for number, picture in enumerate(scene.pictures):
        left, top = number * np.array(NEXT)
        plane = Affine2D.from_values(*PLANE.ravel(), left, top)
        axes.imshow(picture, extent=(0, 1, 1, 0), interpolation="nearest", transform=plane + axes.transData)
    axes.set(xlim=(-0.04, far[0] + 0.04), ylim=(far[1] + 0.02, -0.02), aspect="equal")
    axes.set_axis_off()

    places_N2 = node_places(scene.graph)
    shown = scene.graph["node_frame"] < num_frames
    source, target, kind = (scene.graph[name].astype(np.int64) for name in ("source", "target", "kind"))
    drawn = shown[source] & shown[target]
    lines_E22 = np.stack([places_N2[source], places_N2[target]], axis=1)
    within = drawn & (kind != TO_NEXT_FRAME) & (source < target)  # both directions are one line
    axes.add_collection(LineCollection(lines_E22[within], colors=WITHIN, linewidths=1.0, alpha=0.75, zorder=2))
    between = np.flatnonzero(drawn & (kind == TO_NEXT_FRAME))
    between = between[np.argsort(scene.graph["weight"][between])]  # the widest are drawn last
    weight = scene.graph["weight"][between].astype(np.float64)
    lowest, highest = weight.min(initial=1), weight.max(initial=0)
    strength = ((weight - lowest) / max(highest - lowest, 1e-9)) ** 2
    colours = [to_rgba(BETWEEN, 0.06 + 0.8 * share) for share in strength]
    axes.add_collection(LineCollection(lines_E22[between], colors=colours, linewidths=0.3 + 3 * strength, zorder=3))
    axes.scatter(*places_N2[shown].T, s=52, c="white", edgecolors=INK, linewidths=1.3, zorder=4)
    explain(figure, scene)
    return figure


def explain(figure: Figure, scene: Scene) -> None:
    """Write the captions and the legend below the graph."""
    handles = [
        Line2D([], [], marker="o", ls="", ms=7, mfc="white", mec=INK, mew=1.3, label="node: a cell of a frame"),
        Line2D([], [], color=WITHIN, label="edge within a frame"),
        Line2D([], [], color=BETWEEN, lw=2.5, label="edge to the next frame: wider is more similar"),
    ]
    figure.legend(handles=handles, loc="lower right", bbox_to_anchor=(0.985, 0.0), frameon=False, fontsize=11.5)
    for y, size, told, sentence in ((0.085, 17, "caption", scene.caption), (0.03, 12.5, "reference", scene.reference)):
        figure.text(0.035, y, told, size=12.5, color="#6e7781")
        figure.text(0.112, y, sentence, size=size, color=INK)


def browser_for(page: Path) -> str:
    """Find a Chromium that can take the picture of a page.

    Raises:
        PipelineError: if the page is not there, or Chromium is not installed.
    """
    if not page.is_file():
        raise PipelineError(f"{page} is not there, expected the report of the finished demo: make demo")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise PipelineError(
            f"no {' or '.join(BROWSERS)} is installed, expected a browser that takes the picture of {page}: "
            "on Debian `apt-get install chromium`"
        )
    return browser


def photograph(page: Path, width: int, height: int) -> Image.Image:
    """Take a picture of the top of a page, as Chromium shows it.

    Raises:
        PipelineError: if the page is not there, or Chromium is not installed or takes no picture.
    """
    browser = browser_for(page)
    with tempfile.TemporaryDirectory(prefix="clipgraph-pictures-") as folder:
        picture = Path(folder) / "page.png"
        command = [
            browser,
            "--headless",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
            f"--window-size={width},{height}",
            f"--screenshot={picture}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium has no sandbox for root
            page.absolute().as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=120)
        if not picture.is_file():
            last = " ".join(done.stderr.split()[-40:])
            raise PipelineError(f"{browser} took no picture of {page} (exit code {done.returncode}): {last}")
        return Image.open(picture).convert("RGB")


def photograph_word(page: Path, video_id: str, method: str, word: int) -> Image.Image:
    """Take a picture of a video of the report, in the step that a word of its first caption most stands on.

    Args:
        page: The report.
        video_id: The video.
        method: Name of the explanation whose map is shown.
        word: Place of the word in the caption.

    Raises:
        PipelineError: if the page or Chromium is not there, or the video has no such explanation.
    """
    from playwright.sync_api import sync_playwright

    browser = browser_for(page)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser)
        view = chromium.new_page(viewport={"width": PAGE_WIDTH, "height": PAGE_WIDTH}, reduced_motion="reduce")
        view.goto(f"{page.absolute().as_uri()}#videos?video={video_id}")
        view.wait_for_load_state("networkidle")
        if not view.locator(f"#method option[value={method}]").count():
            raise PipelineError(
                f"{page}: video {video_id} has no explanation {method}, expected that of "
                "configs/shapes_explained.yaml: make pictures"
            )
        view.locator("button.word").nth(word).click()
        view.select_option("#method", method)
        told = re.search(r": frame (\d+),", view.inner_text("#told"))
        if told is not None:
            view.locator("button.step").nth(int(told[1]) - 1).click()
            view.wait_for_function("() => !document.querySelector('#video video').seeking")
        content = view.locator("#video").screenshot()
        chromium.close()
    return Image.open(io.BytesIO(content)).convert("RGB")


def drawn(figure: Figure) -> Image.Image:
    """Turn a figure into a picture."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return Image.open(content).convert("RGB")


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture with as many colours as `MAX_BYTES` allows, at most 256.

    Raises:
        PipelineError: if it is still larger with 16 colours.
    """
    for num_colours in (256, 128, 64, 32, 16):
        content = io.BytesIO()
        picture.quantize(num_colours).save(content, format="png", optimize=True)
        if content.tell() <= MAX_BYTES:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.getvalue())
            return
    raise PipelineError(f"{path}: {content.tell()} bytes, expected at most {MAX_BYTES}: show less of it")


def main(arguments: Sequence[str]) -> int:
    """Draw the pictures.

    Returns:
        The exit code: 0, or 2 for a mistake that the user can mend.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="of the finished demo")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), metavar="DIR", help="(docs/pictures)")
    parser.add_argument("--video", default=VIDEO, metavar="ID", help=f"of the test split ({VIDEO})")
    chosen = parser.parse_args(arguments)
    try:
        save(drawn(draw_graph(read_scene(chosen.results, chosen.video))), chosen.out / "graph.png")
        page = chosen.results / "report/index.html"
        save(photograph(page, PAGE_WIDTH, PAGE_HEIGHT), chosen.out / "report.png")
        save(photograph_word(page, EXPLAINED, METHOD, COLOUR), chosen.out / "words.png")
    except PipelineError as error:
        print(f"error: pictures: {error}", file=sys.stderr)
        return 2
    for name in ("graph.png", "report.png", "words.png"):
        print(f"{chosen.out / name}: {(chosen.out / name).stat().st_size / 1e3:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
