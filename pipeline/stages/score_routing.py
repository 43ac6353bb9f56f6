"""Score the clips that TSTL has routed: the class by each rule, the group by the selector, and the best there could be.

The scores that count are those of the product rule, p(c) = p(g) p(c | g), with views merged by their probabilities. The
rule is fixed, and not chosen by any score. Hard routing by each view (TSTL's own rule) and by each clip stand beside
it. A selector without mistakes would reach `oracle` by hard routing, where the expert of a clip's true group may tell
any class, and `oracle_product` by the product rule, where it tells one of its group.

Shapes: V views, G groups, K classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import Artifact, read
from pipeline.errors import PipelineError
from pipeline.recognition.groups import Groups, read_groups
from pipeline.recognition.labels import Labels, read_labels
from pipeline.recognition.parts import Part, labels_of_part
from pipeline.recognition.routing import RULES, Rule, routed, within_group
from pipeline.recognition.scored_clips import Scored, recognized_of, score_clips, write_scored
from pipeline.recognition.views import Merging
from pipeline.schemas import ROUTES

RULE: Rule = "product"
MERGE: Merging = "softmax"  # as CAST's views are merged
Logits = dict[str, NDArray[np.floating]]  # by clip


def run(*, routes: Path, labels: Path, groups: Path, split: str, out: Path, per_video: Path, per_class: Path) -> None:
    """Score the clips routed for one split.

    Args:
        routes: The logits of the split's clips by the selector and all experts, by `route_clips`.
        labels: The data set's labels.json: classes, labels and splits.
        groups: The groups of its classes.
        split: The split to score: train, val or test.
        out: Where the scores go (JSON), as those of `score_recognizer`, with `routing`: `rule` (the one that counts),
            `rules` (the metrics by each rule, with views merged by probabilities), `selector` (the metrics of the
            groups), `oracle` and `oracle_product` (the metrics if the selector told the true group of each clip, by
            hard routing and by the product rule) and `groups` (for each group its name, the number of clips, and the
            top-1 of its own clips by `selector`, expert, as in `oracle` and `oracle_product`, and the rule, `end`).
        per_video: Where a table of the scored clips goes (CSV), as that of `score_recognizer`.
        per_class: Where a table of the classes goes (CSV), as that of `score_recognizer`.

    Raises:
        PipelineError: No clip of the split was routed, or the logits are of other classes or groups.
    """
    known = read_labels(labels)
    own = read_groups(groups, known)
    store = read(routes, ROUTES)
    scored = recognized_of(store, known, split)
    require_shapes(store, own, labels)
    rows = {clip_id: store.video(clip_id, ["selector", "experts"]) for clip_id in scored}
    by_rule = {
        rule: {i: routed(row["selector"], row["experts"], own.of_class, rule) for i, row in rows.items()}
        for rule in RULES
    }
    result = score_clips(known, split, by_rule[RULE], store.failed, MERGE)
    result.scores["routing"] = described(known, own, split, rows, by_rule)
    write_scored(result, out, per_video, per_class)
    of = result.scores["routing"]
    by = ", ".join(f"{rule} {metrics['top1']:.1%}" for rule, metrics in of["rules"].items())
    print(f"top-1 of the selector {of['selector']['top1']:.1%}, of the oracle {of['oracle']['top1']:.1%}, by {by}")


def require_shapes(store: Artifact, groups: Groups, labels: Path) -> None:
    """Raise PipelineError unless routes are of these groups and classes."""
    expected = (len(groups.names), len(groups.of_class))
    if store.shape("experts")[1:] != expected:
        raise PipelineError(
            f"{store.store}: logits of {store.shape('experts')[1:]} groups and classes, but {groups.path} and {labels} "
            f"have {expected}: run route_clips again"
        )


def described(
    labels: Labels, groups: Groups, split: str, rows: Mapping[str, Mapping[str, Any]], by_rule: Mapping[Rule, Logits]
) -> dict[str, Any]:
    """What the scores say of the routing itself; see `run`."""
    truth = {clip_id: groups.of_class[labels.index.labels[clip_id][0]] for clip_id in rows}
    of_selector = {clip_id: row["selector"] for clip_id, row in rows.items()}
    of_oracle = {clip_id: row["experts"][:, truth[clip_id]] for clip_id, row in rows.items()}
    of_product: Logits = {i: within_group(logits, groups.of_class, truth[i]) for i, logits in of_oracle.items()}
    selector = scored_alone(labels_of_part(labels, Part(groups, None)), split, of_selector)
    oracle, best = scored_alone(labels, split, of_oracle), scored_alone(labels, split, of_product)
    rules = {rule: scored_alone(labels, split, logits) for rule, logits in by_rule.items()}
    right = {
        name: right_clips(scored)
        for name, scored in {
            "selector": selector,
            "oracle": oracle,
            "oracle_product": best,
            "end": rules[RULE],
        }.items()
    }
    table = []
    for number, name in enumerate(groups.names):
        own = [clip_id for clip_id in rows if truth[clip_id] == number]
        shares = {key: sum(clip_id in of for clip_id in own) / len(own) if own else None for key, of in right.items()}
        table.append({"name": name, "clips": len(own), **shares})
    return {
        "rule": RULE,
        "rules": {rule: scored.scores["metrics"] for rule, scored in rules.items()},
        "selector": selector.scores["metrics"],
        "oracle": oracle.scores["metrics"],
        "oracle_product": best.scores["metrics"],
        "groups": table,
    }


def scored_alone(labels: Labels, split: str, logits: Logits) -> Scored:
    """Scores of some logits, with views merged by probabilities."""
    return score_clips(labels, split, logits, {}, MERGE)


def right_clips(scored: Scored) -> set[str]:
    """The clips whose class, or group, is told first."""
    return {clip_id for clip_id, (_, rank) in scored.scores["statistics"]["clips"].items() if rank == 0}
