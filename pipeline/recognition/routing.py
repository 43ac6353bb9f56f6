"""How TSTL tells the class of a clip from its selector and its experts.

Every rule gives logits of all classes for each view, which are merged over views as those of any recognizer. With one
group they are the logits of its expert, to the last bit.

Shapes: V views, G groups, K classes.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.recognition.views import merge

Logits = NDArray[np.floating]
Rule = Literal["product", "view", "clip"]
RULES: tuple[Rule, ...] = ("product", "view", "clip")


def routed(selector_VG: Logits, experts_VGK: Logits, of_class: list[int], rule: Rule) -> Logits:
    """Logits of all classes for each view, by a rule.

    Args:
        selector_VG: Logits of the groups.
        experts_VGK: Logits of the classes by the expert of each group.
        of_class: The group of each class.
        rule: `view`: each view is told by the expert of its likeliest group (TSTL's own rule, by which the views of a
            clip may go to different experts). `clip`: all views of a clip by the expert of the group that is the
            likeliest on average. `product`: see `product`.

    Returns:
        Logits `[V, K]`.
    """
    if rule == "product":
        return product(selector_VG, experts_VGK, of_class)
    if rule == "clip":
        return experts_VGK[:, told_group(selector_VG)]
    return experts_VGK[np.arange(len(experts_VGK)), selector_VG.argmax(1)]  # type: ignore[no-any-return]


def product(selector_VG: Logits, experts_VGK: Logits, of_class: list[int]) -> NDArray[np.float64]:
    """Logits whose softmax is p(c) = p(g) p(c | g), where g is the group of class c.

    p(g) is the selector's softmax, and p(c | g) that of the expert of g over the classes of g alone: what an expert
    thinks of classes that belong to other groups is not asked, so that the products add up to 1 over all classes.

    Args:
        selector_VG: Logits of the groups.
        experts_VGK: Logits of the classes by the expert of each group.
        of_class: The group of each class.
    """
    groups_K = np.asarray(of_class)
    own_VK = experts_VGK[:, groups_K, np.arange(len(groups_K))].astype(np.float64)
    offset_VG = selector_VG.astype(np.float64)
    for group in range(offset_VG.shape[1]):
        offset_VG[:, group] -= _log_sum(own_VK[:, groups_K == group])
    # A constant of each view changes no probability; with this one, the logits of a single group stay as they are.
    offset_VG -= offset_VG.max(1, keepdims=True)
    return own_VK + offset_VG[:, groups_K]


def within_group(logits_VK: Logits, of_class: list[int], group: int) -> NDArray[np.float64]:
    """Logits whose softmax is p(c | g) of the product rule: those of the classes of other groups are minus infinity.

    Args:
        logits_VK: Logits of the classes by the expert of the group.
        of_class: The group of each class.
        group: g.
    """
    return np.where(np.asarray(of_class) == group, logits_VK.astype(np.float64), -np.inf)


def told_group(selector_VG: Logits) -> int:
    """The group that a clip is told to be of: the likeliest one on average over views."""
    return int(merge(selector_VG, "softmax").argmax())


def _log_sum(logits_VK: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the sum of the powers, over the last axis."""
    most_V = logits_VK.max(1)
    return most_V + np.log(np.exp(logits_VK - most_V[:, None]).sum(1))  # type: ignore[no-any-return]
