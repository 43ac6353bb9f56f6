import torch

from pipeline.captioning.word_rules import WordRules, forbid
from pipeline.vocabulary import BOS, EOS, NEVER_GENERATED

A, B, C = 4, 5, 6


def allowed(words, rules):
    """Tokens that a caption may go on with."""
    log_probs = forbid(torch.zeros(1, 1, 7), torch.tensor([[[BOS, *words]]]), rules)
    return {token for token in range(7) if log_probs[0, 0, token] == 0}


def test_no_special_token_and_at_least_a_word():
    rules = WordRules(0, 9, 0)
    assert allowed([], rules) == {A, B, C}
    assert allowed([A], rules) == {EOS, A, B, C} == set(range(7)) - set(NEVER_GENERATED)


def test_neither_too_short_nor_too_long():
    rules = WordRules(2, 3, 0)
    assert allowed([A], rules) == {A, B, C}
    assert allowed([A, A], rules) == {EOS, A, B, C}
    assert allowed([A, A, A], rules) == {EOS}


def test_repeated_runs():
    assert allowed([A, B], WordRules(0, 9, 1)) == {EOS, C}
    assert allowed([A, B, A], WordRules(0, 9, 2)) == {EOS, A, C}  # "a b" has been
    assert allowed([A, A], WordRules(0, 9, 2)) == {EOS, B, C}
    assert allowed([A, B, C, A, B], WordRules(0, 9, 3)) == {EOS, A, B}
    assert allowed([A, B, C, A, B], WordRules(0, 9, 4)) == {EOS, A, B, C}


def test_the_end_where_no_word_is_left():
    assert allowed([A, B], WordRules(5, 9, 1)) == {C}
    assert allowed([A, B, C], WordRules(5, 9, 1)) == {EOS}


def test_the_rows_are_judged_apart():
    tokens = torch.tensor([[[BOS, A, B], [BOS, C, C]], [[BOS, B, B], [BOS, A, A]]])
    log_probs = forbid(torch.zeros(2, 2, 7), tokens, WordRules(0, 9, 1))
    rows = [[{t for t in range(7) if row[t] == 0} for row in video] for video in log_probs]
    assert rows == [[{EOS, C}, {EOS, A, B}], [{EOS, A, C}, {EOS, B, C}]]
