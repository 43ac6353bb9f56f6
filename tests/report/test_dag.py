from toys.report import Page

from pipeline.__main__ import stage_summaries
from pipeline.report.dag import PLACES, READS, arrows, draw_dag


def test_dag_arrows_leave_out_the_long_way():
    counts = {"index_videos": 2, "decode_frames": 2, "extract_i3d": 2, "import_weights": 2, "build_grid_nodes": 2}
    assert ("import_weights", "build_grid_nodes") in arrows(counts, nodes_use_imported=True)
    pairs = arrows(counts | {"finetune_clip4clip": 1}, nodes_use_imported=False)
    assert set(pairs) == {
        ("index_videos", "decode_frames"),
        ("decode_frames", "extract_i3d"),
        ("import_weights", "extract_i3d"),
        ("decode_frames", "finetune_clip4clip"),
        ("finetune_clip4clip", "build_grid_nodes"),
    }


def test_dag_draws_each_stage_once():
    counts = {"index_videos": 2, "decode_frames": 1, "score_captions": 0}
    picture = draw_dag(counts)
    assert [attrs["class"] for attrs in Page(picture).all("rect")] == ["stage", "stage"]
    assert "2 artifacts" in picture
    assert "1 artifact<" in picture
    assert "score_captions" not in picture


def test_dag_knows_every_stage():
    """A stage that is added to the workflow must be added to the picture."""
    assert set(PLACES) == set(stage_summaries())
    assert set(READS) <= set(PLACES)
