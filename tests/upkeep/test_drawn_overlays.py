"""Pictures and films of explanations belong to the list beside them, and hidden siblings of them, too."""

from pathlib import Path

from pipeline.artifact import write_json
from pipeline.upkeep.inventory import take_inventory


def test_what_is_drawn_is_not_foreign(tmp_path: Path) -> None:
    folder = tmp_path / "results/explanations/why/overlays"
    folder.mkdir(parents=True)
    write_json(folder / "index.json", {"videos": [], "left_out": {}})
    for name in ("000-caption.png", "000-012.mp4", ".000-001.png.new", "holiday.png"):
        (folder / name).write_bytes(b"x")
    found = take_inventory(tmp_path / "results")
    assert [(of.kind, of.names) for of in found.artifacts] == [("overlays", {"explanation": "why"})]
    assert [path.name for path in found.videos_beside(found.artifacts[0])] == ["000-012.mp4", "000-caption.png"]
    assert [(left.place.name, left.of.kind) for left in found.leftovers] == [(".000-001.png.new", "overlays")]
    assert [path.name for path in found.foreign] == ["holiday.png"]
