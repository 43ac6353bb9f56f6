"""What the page says of TSTL: a table of rules, a table of groups, and pictures of vectors."""

import json
import shutil

from PIL import Image
from toys.recognized import artifacts_of, write_results
from toys.report import Page, report_of

from pipeline.artifact import read_json, write_json
from pipeline.report.recognition import tells_classes
from pipeline.report.routing import describe_routing
from pipeline.stages import write_report

PART = {"groups": "two", "group": None}
GROUPS = [
    {"name": "0: left, right", "clips": 8, "selector": 0.75, "oracle": 0.5, "oracle_product": 0.625, "end": 0.375},
    {"name": "1: none", "clips": 0, "selector": None, "oracle": None, "oracle_product": None, "end": None},
]


def routing(product, view):
    of = {"product": product, "view": view, "clip": view}
    rules = {rule: {"top1": top1, "top5": 1.0, "mean_class": top1} for rule, top1 in of.items()}
    top = {"top1": 0.8125, "top5": 1.0, "mean_class": 0.7}
    return {"rule": "product", "rules": rules, "selector": top, "groups": GROUPS} | {
        "oracle": top | {"top1": 0.6875},
        "oracle_product": top | {"top1": 0.75},
    }


def test_rules_are_means_over_seeds_and_groups_are_of_the_first():
    shown = {"plain": [{"metrics": {}}], "tstl": [{"routing": routing(0.5, 0.25)}, {"routing": routing(0.75, 0.5)}]}
    (found,) = describe_routing(shown)
    assert found["experiment"] == "tstl"
    assert [(row["name"], row["top1"], row["counts"]) for row in found["rows"]] == [
        ("product", 0.625, True),
        ("view", 0.375, False),
        ("clip", 0.375, False),
        ("oracle", 0.6875, False),
        ("oracle_product", 0.75, False),
        ("selector", 0.8125, False),
    ]
    assert found["groups"] == GROUPS


def test_a_part_is_in_no_table_of_accuracies_by_itself():
    assert tells_classes({"kind": "recognition", "part": None})
    assert tells_classes({"kind": "routing"})
    assert not tells_classes({"kind": "recognition", "part": PART})
    assert not tells_classes({"kind": "captioning"})


def test_the_page_has_the_tables_and_the_pictures(tmp_path):
    results, config = write_results(tmp_path)
    experiments = results / "experiments"
    shutil.rmtree(experiments / "regions")
    of_plain = config["experiments"]["plain"] | {"seeds": [1], "part": None}
    config["experiments"]["plain"] |= {"part": None}
    config["experiments"]["selector"] = of_plain | {"part": PART}
    parts = {"selector": "selector", "experts": ["e0", "e1"]}
    config["experiments"]["tstl"] = {"kind": "routing", "dataset": "leaning", "clipping": "all", "seeds": [1]} | parts
    for split in ("val", "test"):
        shutil.copytree(experiments / "plain" / split, experiments / "tstl" / split)
        path = experiments / "tstl" / split / "scores.json"
        write_json(path, read_json(path, [], "") | {"routing": routing(0.5, 0.25)})
    picture = experiments / "selector/test/embeddings.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (8, 5)).save(picture)
    listed = tmp_path / "artifacts.txt"
    listed.write_text("".join(f"{path}\n" for path in [*artifacts_of(results), picture]))
    settings = report_of(["plain", "tstl"], videos=1, resamples=20)
    given = {"artifacts": listed, "config": json.dumps(config), "settings": settings, "stages": {}, "logs": tmp_path}
    write_report.run(**given, out=tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    for expected in (
        "2 recognition experiments on leaning",
        "Groups and their experts",
        "product of the group's and the class's probability in the table of accuracies 50.0 100.0",
        "each view by the expert of its likeliest group 25.0 100.0",
        "each clip by the expert of its true group 68.8 100.0",
        "the group alone, by the selector 81.2 100.0",
        "the same, of the classes of this group alone 75.0 100.0",
        "0: left, right 8 75.0 50.0 62.5 37.5",
        "1: none 0 \u2013 \u2013 \u2013 \u2013",
        "What the heads see",
        "a colour for each group",
    ):
        assert expected in page.text, expected
    assert "selector leaning, test split" in page.text
