"""The words of captions, and how they become numbers (tokens) and words again.

A captioner's vocabulary says how captions are split into words (its `tokenizer`):

- `ptb`: by the Penn Treebank tokenizer that scores captions, too (`pipeline.scoring.tokenising`): the best caption that
  the captioner can say then equals its reference word by word;
- `bare`: as in AKG-sv and its ancestor BTKG (doi 10.1007/s11042-023-17822-4): lower case, punctuation dropped ("it's"
  becomes "its"), split on white space;
- `characters`: as `bare`, and every character of a script that puts no space between words is a word of its own.

Captions are cut to their first words. Three things differ from AKG-sv on purpose. Letters of every script are kept.
Captions start and end with tokens of their own. A word outside the vocabulary keeps its place as `<unk>`: it is context
for the words after it, but it is no target of the loss and is never generated. They delete such a word, and so teach
sentences that nobody wrote.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Tokenizer = Literal["ptb", "bare", "characters"]

PAD, BOS, EOS, UNK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
NEVER_GENERATED = (PAD, BOS, UNK)

# Letters of the scripts that put no space between words: Han, Kana and Bopomofo, Thai, Lao, Tibetan, Burmese, Khmer.
UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
# The Penn Treebank tokenizer splits these off the word before.
CLITICS = frozenset({"n't", "'s", "'re", "'ve", "'ll", "'d", "'m"})


@dataclass(frozen=True)
class Vocabulary:
    """The words a captioner knows.

    Attributes:
        words: The word of each token, the four special ones first.
        max_words: Most words of a caption that are kept, counted from its beginning.
        tokenizer: How captions are split into words, and so how words are joined to a caption.
        spellings: How a caption spells those words that the tokenizer would not read if they stood there as they are.
    """

    words: tuple[str, ...]
    max_words: int
    tokenizer: Tokenizer = "bare"
    spellings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _tokens(self) -> dict[str, int]:
        return {word: token for token, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Sequence[str], reverse: bool = False) -> list[int]:
        """Tokens of a caption between `<bos>` and `<eos>`.

        Args:
            words: The caption, split by the vocabulary's tokenizer.
            reverse: Whether the last word comes first. A long caption loses its end either way: it is cut before it is
                reversed.
        """
        tokens = [self._tokens.get(word, UNK) for word in words[: self.max_words]]
        return [BOS, *(reversed(tokens) if reverse else tokens), EOS]

    def words_of(self, tokens: Sequence[int]) -> list[str]:
        """The words of some tokens, without the special ones; everything after `<eos>` is ignored."""
        end = list(tokens).index(EOS) if EOS in tokens else len(tokens)
        return [self.words[token] for token in tokens[:end] if token >= len(SPECIAL)]

    def decode(self, tokens: Sequence[int]) -> str:
        """The caption of some tokens, which the tokenizer splits into the words of these tokens again."""
        return join_words(self.words_of(tokens), self.tokenizer, self.spellings)


def split_words(caption: str) -> list[str]:
    """The words of a caption, lower case and without punctuation or symbols; letters, marks and digits stay."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", without_invisible(caption)).lower())
    return "".join(char for char in text if char.isspace() or unicodedata.category(char)[0] in "LMN").split()


def split_characters(caption: str) -> list[str]:
    """The words of `split_words`, of which every character of a script without spaces is one, with its marks."""
    return [part for word in split_words(caption) for part in _parts(word)]


def _parts(word: str) -> list[str]:
    parts: list[str] = []
    was_unspaced = True
    for char in word:
        is_unspaced = re.match(f"[{UNSPACED}]", char) is not None
        if parts and (unicodedata.category(char)[0] == "M" or not (is_unspaced or was_unspaced)):
            parts[-1] += char
        else:
            parts.append(char)
            was_unspaced = is_unspaced
    return parts


def join_words(words: Sequence[str], tokenizer: Tokenizer, spellings: Mapping[str, str]) -> str:
    """Write words as a caption, as a person would: "is", "n't" is "isn't", and characters stand without spaces.

    Args:
        words: The words, split by the tokenizer.
        tokenizer: The tokenizer, which would split the caption into these words again.
        spellings: How words are spelt that differ from what the caption must hold.
    """
    spelt = [spellings.get(word, word) for word in words]
    for place in range(1, len(words)):
        spelt[place] = _between(words[place - 1], words[place], tokenizer) + spelt[place]
    return "".join(spelt)


def _between(before: str, word: str, tokenizer: Tokenizer) -> str:
    if tokenizer == "characters":
        return "" if re.search(f"[{UNSPACED}]", before[-1] + word[0]) else " "
    if tokenizer == "ptb" and before.isdecimal() and re.match(r"\d+/\d", word):
        return ", "  # "5 1/2" would be one number, and no score counts a comma
    is_split_off = tokenizer == "ptb" and word in CLITICS and re.fullmatch("[a-z]+", before)
    is_other_word = word == "n't" and before.endswith("n")  # "mann't" would be split into other words
    return "" if is_split_off and not is_other_word else " "


def without_invisible(text: str) -> str:
    """Put a space in the place of each control character and of what has no width, which would glue words together.

    Two kinds are exceptions. A soft hyphen is a place inside a word, and goes. A joiner, or its opposite, shapes
    letters of many scripts and pictures of people, and stays where no Latin letter is beside it.
    """
    if text.isprintable():
        return text
    padded = f" {text} "
    return "".join(_visible(*padded[place - 1 : place + 2]) for place in range(1, len(padded) - 1))


def _visible(before: str, char: str, after: str) -> str:
    if char == "\u00ad":
        return ""
    if char in "\u200c\u200d":
        return " " if any(one.isascii() or "LATIN" in unicodedata.name(one, "") for one in before + after) else char
    return " " if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs") else char


def is_unspaced(caption: str) -> bool:
    """Whether most letters of a caption are of a script that puts no space between words."""
    letters = [char for char in caption if char.isalpha()]
    return 2 * len(re.findall(f"[{UNSPACED}]", "".join(letters))) > len(letters)


def count_words(captions: Iterable[Sequence[str]], min_count: int, max_words: int) -> list[str]:
    """The words of some captions that occur often enough.

    Args:
        captions: Captions that are split into words.
        min_count: A word is kept if it occurs at least so often within the first `max_words` words of the captions.
        max_words: Most words of a caption that are kept.

    Returns:
        Words from frequent to rare, equally frequent ones in alphabetical order.
    """
    counts = Counter(word for words in captions for word in words[:max_words])
    kept = (word for word, count in counts.items() if count >= min_count)
    return sorted(kept, key=lambda word: (-counts[word], word))
