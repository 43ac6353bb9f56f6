import subprocess
import sys

from pipeline.vocabulary import BOS, EOS, PAD, UNK, Vocabulary, count_words, split_words

WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", "a", "dog", "runs", "its"), max_words=3)


def test_punctuation_goes_and_letters_of_every_script_stay():
    assert split_words("It's  a Caf\u00e9,\t2!") == ["its", "a", "caf\u00e9", "2"]
    assert split_words("\u041c\u0418\u0420") == ["\u043c\u0438\u0440"]
    assert split_words("half-way") == ["halfway"]


def test_composed_and_decomposed_letters_are_one_word():
    assert split_words("cafe\u0301") == split_words("caf\u00e9")


def test_a_caption_lies_between_its_own_start_and_end():
    assert WORDS.encode("A dog runs.") == [BOS, 4, 5, 6, EOS]
    assert BOS != EOS


def test_an_unknown_word_keeps_its_place():
    assert WORDS.encode("a purple dog") == [BOS, 4, UNK, 5, EOS]


def test_a_long_caption_loses_its_end_in_both_directions():
    assert WORDS.encode("a dog runs its a") == [BOS, 4, 5, 6, EOS]
    assert WORDS.encode("a dog runs its a", reverse=True) == [BOS, 6, 5, 4, EOS]


def test_decoding_stops_at_the_end():
    assert WORDS.decode([BOS, 4, 5, EOS, 6, PAD]) == "a dog"
    assert WORDS.decode([BOS, 4, 5, PAD, PAD]) == "a dog"


def test_frequent_words_come_first_and_equals_in_order_of_the_alphabet():
    vocabulary = count_words(["b a", "a c b", "z", "late a"], min_count=1, max_words=2)
    assert vocabulary.words == ("<pad>", "<bos>", "<eos>", "<unk>", "a", "b", "c", "late", "z")
    assert count_words(["b a", "a c b", "z", "a"], 2, 3).words[4:] == ("a", "b")


def test_words_beyond_the_limit_are_not_counted():
    assert count_words(["a b", "a b"], 1, 1).words[4:] == ("a",)


def test_a_vocabulary_is_not_shared_between_uses():
    """T14: building one must not change another."""
    first = count_words(["a b"], 1, 5)
    before = first.encode("a b")
    count_words(["z y x a b"], 1, 5).encode("z")
    assert first.encode("a b") == before == [BOS, 4, 5, EOS]
    assert len(first) == 6


def test_torch_is_not_imported():
    command = "import sys, pipeline.stages.build_vocabulary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
