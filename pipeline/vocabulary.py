"""The words of captions, and how they become numbers (tokens) and words again.

A caption is normalised as in AKG-sv and its ancestor BTKG (doi 10.1007/s11042-023-17822-4): lower case, punctuation
dropped ("it's" becomes "its"), split on white space, cut to its first words. Three things differ from them, on
purpose. Letters of every script are kept. Captions start and end with tokens of their own. A word outside the
vocabulary keeps its place as `<unk>`: it is context for the words after it, but it is no target of the loss and is
never generated. They delete such a word, and so teach sentences that nobody wrote.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

PAD, BOS, EOS, UNK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
NEVER_GENERATED = (PAD, BOS, UNK)


@dataclass(frozen=True)
class Vocabulary:
    """The words a captioner knows.

    Attributes:
        words: The word of each token, the four special ones first.
        max_words: Most words of a caption that are kept, counted from its beginning.
    """

    words: tuple[str, ...]
    max_words: int

    @cached_property
    def _tokens(self) -> dict[str, int]:
        return {word: token for token, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, caption: str, reverse: bool = False) -> list[int]:
        """Tokens of a caption between `<bos>` and `<eos>`.

        Args:
            caption: As its author wrote it.
            reverse: Whether the last word comes first. A long caption loses its end either way: it is cut before it is
                reversed.
        """
        words = split_words(caption)[: self.max_words]
        tokens = [self._tokens.get(word, UNK) for word in words]
        return [BOS, *(reversed(tokens) if reverse else tokens), EOS]

    def decode(self, tokens: Sequence[int]) -> str:
        """The caption of some tokens, without the special ones; everything after `<eos>` is ignored."""
        end = list(tokens).index(EOS) if EOS in tokens else len(tokens)
        return " ".join(self.words[token] for token in tokens[:end] if token >= len(SPECIAL))


def split_words(caption: str) -> list[str]:
    """The words of a caption, lower case and without punctuation or symbols; letters, marks and digits stay."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", caption).lower())
    return "".join(char for char in text if char.isspace() or unicodedata.category(char)[0] in "LMN").split()


def count_words(captions: Iterable[str], min_count: int, max_words: int) -> Vocabulary:
    """The vocabulary of some captions.

    Args:
        captions: As their authors wrote them.
        min_count: A word is kept if it occurs at least so often within the first `max_words` words of the captions.
        max_words: Most words of a caption that are kept.

    Returns:
        A vocabulary of the special tokens, then words from frequent to rare, equally frequent ones in alphabetical
        order.
    """
    counts = Counter(word for caption in captions for word in split_words(caption)[:max_words])
    kept = sorted(
        (word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word)
    )
    return Vocabulary((*SPECIAL, *kept), max_words)
