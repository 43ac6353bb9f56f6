import subprocess
import sys

import pytest

from pipeline.vocabulary import (
    BOS,
    EOS,
    PAD,
    SPECIAL,
    UNK,
    Vocabulary,
    count_words,
    is_unspaced,
    join_words,
    split_characters,
    split_words,
    without_invisible,
)

WORDS = Vocabulary((*SPECIAL, "a", "dog", "runs", "its"), max_words=3)


def test_punctuation_goes_and_letters_of_every_script_stay():
    assert split_words("It's  a Caf\u00e9,\t2!") == ["its", "a", "caf\u00e9", "2"]
    assert split_words("\u041c\u0418\u0420") == ["\u043c\u0438\u0440"]
    assert split_words("half-way") == ["halfway"]


def test_composed_and_decomposed_letters_are_one_word():
    assert split_words("cafe\u0301") == split_words("caf\u00e9")


@pytest.mark.parametrize(
    "char", ["\0", "\x1b", "\x7f", "\x9b", "\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\ufeff"]
)
def test_what_cannot_be_seen_glues_no_words(char):
    assert split_words(f"a dog{char}runs{char}") == ["a", "dog", "runs"]


def test_what_shapes_letters_and_pictures_stays():
    assert without_invisible("half\u00adway") == "halfway"
    persian, family = "\u0645\u06cc\u200c\u0631\u0648\u062f", "\U0001f469\u200d\U0001f467"
    assert without_invisible(persian) == persian
    assert without_invisible(family) == family
    assert without_invisible("\u200d\u0645") == " \u0645"


def test_a_caption_lies_between_its_own_start_and_end():
    assert WORDS.encode(["a", "dog", "runs"]) == [BOS, 4, 5, 6, EOS]
    assert BOS != EOS


def test_an_unknown_word_keeps_its_place():
    assert WORDS.encode(["a", "purple", "dog"]) == [BOS, 4, UNK, 5, EOS]


def test_a_long_caption_loses_its_end_in_both_directions():
    words = ["a", "dog", "runs", "its", "a"]
    assert WORDS.encode(words) == [BOS, 4, 5, 6, EOS]
    assert WORDS.encode(words, reverse=True) == [BOS, 6, 5, 4, EOS]


def test_decoding_stops_at_the_end():
    assert WORDS.decode([BOS, 4, 5, EOS, 6, PAD]) == "a dog"
    assert WORDS.decode([BOS, 4, 5, PAD, PAD]) == "a dog"


def test_frequent_words_come_first_and_equals_in_order_of_the_alphabet():
    captions = [["b", "a"], ["a", "c", "b"], ["z"], ["late", "a"]]
    assert count_words(captions, min_count=1, max_words=2) == ["a", "b", "c", "late", "z"]
    assert count_words(captions, 2, 3) == ["a", "b"]


def test_words_beyond_the_limit_are_not_counted():
    assert count_words([["a", "b"], ["a", "b"]], 1, 1) == ["a"]


def test_a_vocabulary_is_not_shared_between_uses():
    """T14: building one must not change another."""
    first = Vocabulary((*SPECIAL, *count_words([["a", "b"]], 1, 5)), 5)
    before = first.encode(["a", "b"])
    Vocabulary((*SPECIAL, *count_words([["z", "y", "a", "b"]], 1, 5)), 5).encode(["z"])
    assert first.encode(["a", "b"]) == before == [BOS, 4, 5, EOS]
    assert len(first) == 6


def test_characters_without_spaces_are_words_and_others_stay_together():
    assert split_characters("\u4e00\u4e2a\u4eba\uff0c\u8dd1\u3002") == list("\u4e00\u4e2a\u4eba\u8dd1")
    assert split_characters("T\u6064 iPhone 6\u4e2a") == ["t", "\u6064", "iphone", "6", "\u4e2a"]
    assert split_characters("\u0e01\u0e34\u0e19") == ["\u0e01\u0e34", "\u0e19"]  # a mark stays with its letter


def test_captions_are_joined_as_people_write_them():
    assert (
        join_words(["a", "man", "is", "n't", "in", "the", "dog", "'s", "house"], "ptb", {})
        == "a man isn't in the dog's house"
    )
    assert join_words(["man", "n't", "'ll", "5", "'s"], "ptb", {}) == "man n't 'll 5 's"
    assert join_words(["-lrb-", "at&t", "'s"], "ptb", {"-lrb-": "(", "at&t": "AT&T"}) == "( AT&T 's"
    assert join_words(["2", "1/2"], "ptb", {}) == "2, 1/2"
    assert join_words(["is", "n't"], "bare", {}) == "is n't"
    assert join_words(["t", "\u6064", "iphone", "6", "\u4e2a"], "characters", {}) == "t\u6064iphone 6\u4e2a"


def test_scripts_without_spaces_are_told_from_others():
    assert is_unspaced("\u4e00\u4e2a\u4eba\u7528 iPad") is False  # as many letters of each
    assert is_unspaced("\u4e00\u4e2a\u7537\u4eba\u5728\u7528 iPad")
    assert is_unspaced("\u0e04\u0e19\u0e01\u0e34\u0e19\u0e02\u0e49\u0e32\u0e27")
    assert not is_unspaced("\ub0a8\uc790\uac00 \ub2ec\ub9b0\ub2e4")  # Korean has spaces
    assert not is_unspaced("2 3 !")


def test_torch_is_not_imported():
    command = "import sys, pipeline.stages.build_vocabulary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
