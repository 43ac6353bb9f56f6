"""What a clip of SyncMNIST shows and how it moves, drawn by a counter: any clip alone, in any order, is the same.

The rules are those of the published generator (space of 100 pixels, digits of 28, steps of up to 10), of which two
traits are settings: its steps leave out the upper bound, so that digits drift to the top left (`inclusive_upper`), and
one clip in 92 is of the class "none" (`none_share`).

Of MultiSyncMNIST ("Unsupervised learning of dynamic salient regions", 2020) no generator is published. Chosen here: a
clip is of the class "none" with the chance `none_share`; otherwise 2 to all of its digits move alike, each number with
one chance, and which they are is drawn, too, so that what lies in front tells nothing.

Shapes: T frames, D digits of a clip (its slots, the last one in front), 2 for row and column.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.config import SyncMnistSettings
from pipeline.datasets.sync_mnist.glyphs import GlyphBank
from pipeline.datasets.sync_mnist.labels import label_of
from pipeline.datasets.sync_mnist.strokes import SIDE

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """Everything about a clip but its pixels.

    Attributes:
        classes_D: Class of each digit, from 0.
        glyphs_D: Which image of the bank each is.
        together_D: Whether it is among those that move alike.
        tracks_TD2: Row and column of the top left corner of its window of 28 pixels on the canvas, in every frame.
    """

    classes_D: Places
    glyphs_D: Places
    together_D: NDArray[np.bool_]
    tracks_TD2: Places

    def label(self, settings: SyncMnistSettings) -> int:
        """Number of the clip's class: which digits move alike; of a digit alone, its own."""
        if settings.digits == 1:
            return int(self.classes_D[0])
        return label_of(self.classes_D[self.together_D].tolist(), settings.synchronous, settings.classes)

    def boxes(self, canvas: int) -> NDArray[np.float64]:
        """Left, top, right and bottom of each digit's window as shares of the frame, `[T, D, 4]`."""
        corners = self.tracks_TD2[:, :, ::-1]
        return np.concatenate([corners, corners + SIDE], axis=2) / canvas


def plan_clips(settings: SyncMnistSettings) -> dict[str, tuple[str, int]]:
    """Map the id of each clip to its split and its number there. An id does not depend on how many others there are."""
    counts = {"train": settings.clips.train, "val": settings.clips.val, "test": settings.clips.test}
    return {f"{split}-{number:06d}": (split, number) for split, count in counts.items() for number in range(count)}


def draw_scene(settings: SyncMnistSettings, bank: GlyphBank, split: str, number: int) -> Scene:
    """Draw what one clip shows.

    Args:
        settings: The data set's settings. Of `clips` nothing is read: numbers beyond it give further clips.
        bank: Its glyphs.
        split: Split of the clip, which has glyphs of its own.
        number: Number of the clip in its split, from 0.
    """
    rng = random_of(settings.seed, split, number)
    num_digits = settings.digits
    if settings.repeated_classes:
        classes_D = rng.integers(settings.classes, size=num_digits)
    else:
        classes_D = rng.permutation(settings.classes)[:num_digits]
    share_D = rng.random(num_digits)
    images = [bank.of_class[split][digit] for digit in classes_D.tolist()]
    glyphs_D = np.array([of[int(share * len(of))] for of, share in zip(images, share_D, strict=True)], dtype=np.int64)
    room = settings.canvas - SIDE - 1  # as published; so no digit reaches the last row or column
    starts_D2 = rng.integers(room + 1, size=(num_digits, 2))
    together_D = _draw_together(rng, settings)
    uniform_TD2 = rng.random((settings.frames, num_digits, 2))
    tracks_TD2 = move(starts_D2, uniform_TD2, together_D, room, settings.max_step, settings.inclusive_upper)
    return Scene(classes_D, glyphs_D, together_D, tracks_TD2)


def random_of(seed: int, split: str, number: int) -> np.random.Generator:
    """The random generator of one clip: Philox (Salmon et al. 2011), whose counter the clip's number is a part of."""
    stream = int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, number]))


def _draw_together(rng: np.random.Generator, settings: SyncMnistSettings) -> NDArray[np.bool_]:
    """Which digits move alike: the first two, or a subset; none with the chance `none_share`."""
    together_D = np.zeros(settings.digits, dtype=np.bool_)
    is_none = rng.random() < settings.none_share
    if settings.digits == 1 or is_none:
        return together_D
    if settings.synchronous == "pair":
        together_D[:2] = True
    else:
        number = int(rng.integers(2, settings.digits + 1))
        together_D[rng.permutation(settings.digits)[:number]] = True
    return together_D


def move(
    starts_D2: Places,
    uniform_TD2: NDArray[np.float64],
    together_D: NDArray[np.bool_],
    room: int,
    max_step: int,
    inclusive_upper: bool,
) -> Places:
    """Move digits about, by a step before every frame.

    A step is uniform over the integers from -max_step to max_step that keep the digit on the canvas, the largest left
    out unless `inclusive_upper`. Those that move together take one step that keeps all of them there, and along an axis
    where there is none, none.

    Args:
        starts_D2: Where the digits are before the first step.
        uniform_TD2: Numbers from 0 up to, without, 1, that choose the steps.
        together_D: Which digits take the same steps.
        room: Largest row and column.
        max_step: Longest step along an axis.
        inclusive_upper: Whether the longest possible step to the bottom or right is among those drawn.

    Returns:
        Where the digits are in every frame, `[T, D, 2]`.
    """
    at_D2, tracks_TD2 = starts_D2, np.empty(uniform_TD2.shape, dtype=np.int64)
    is_any = bool(together_D.any())
    for frame, uniform_D2 in enumerate(uniform_TD2):
        low_D2, high_D2 = np.maximum(-at_D2, -max_step), np.minimum(room - at_D2, max_step)
        if is_any:
            low_D2[together_D] = low_D2[together_D].max(0)
            high_D2[together_D] = high_D2[together_D].min(0)
            uniform_D2 = uniform_D2.copy()
            uniform_D2[together_D] = uniform_D2[np.argmax(together_D)]
        number_D2 = high_D2 - low_D2 + inclusive_upper
        step_D2 = np.where(number_D2 > 0, low_D2 + (uniform_D2 * number_D2).astype(np.int64), 0)
        at_D2 = np.clip(at_D2 + step_D2, 0, room)
        tracks_TD2[frame] = at_D2
    return tracks_TD2
