"""Write the outputs of verbs and nouns in the form that the official tools of EPIC-Kitchens read.

Shapes: N clips, V verbs, K nouns.
"""

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.jobs.storage import replaced

PROTOCOL = 4  # of Python 3.4 and newer


class _PlainPickler(pickle.Pickler):
    """Pickles arrays as calls of `numpy.ndarray`, because NumPy 2 names modules in its own form that older ones lack.

    The official tools pin a NumPy of 2020.
    """

    def reducer_override(self, held: Any) -> Any:
        if isinstance(held, np.ndarray):
            whole = np.ascontiguousarray(held)
            return np.ndarray, (whole.shape, whole.dtype.str, whole.tobytes())
        return NotImplemented


def write_outputs(
    path: Path,
    ids: Sequence[str],
    verbs_NV: Sequence[NDArray[np.floating]],
    nouns_NK: Sequence[NDArray[np.floating]],
) -> None:
    """Write a pickle with `verb_output` f4 `[N, V]`, `noun_output` f4 `[N, K]` and `narration_id` `[N]`.

    Args:
        path: Where it goes; a suffix `.pkl` is what the tools expect.
        ids: The clips, N >= 1.
        verbs_NV: A row for each clip.
        nouns_NK: A row for each clip.
    """
    content = {
        "verb_output": np.stack(list(verbs_NV)).astype("<f4"),
        "noun_output": np.stack(list(nouns_NK)).astype("<f4"),
        "narration_id": np.array(list(ids)),
    }
    buffer = io.BytesIO()
    _PlainPickler(buffer, PROTOCOL).dump(content)
    with replaced(path) as new:
        new.write_bytes(buffer.getvalue())
