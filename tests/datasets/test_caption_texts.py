from pipeline.datasets.annotated import FoundClips
from pipeline.datasets.caption_texts import clean_caption, clean_captions


def test_entities_are_resolved_once():
    assert clean_caption("rock &amp; roll &#39;n&#x27; caf&eacute;&nbsp;&lt;b&gt;") == "rock & roll 'n' caf\u00e9 <b>"
    assert clean_caption("AT&T, rock &reggae; R&D; &copy 5 & 6") == "AT&T, rock &reggae; R&D; &copy 5 & 6"
    assert clean_caption("a&#0;b &#xD800; &#99999999;") == "a\ufffdb \ufffd &#99999999;"


def test_what_cannot_be_seen_separates_words():
    assert clean_caption("a\0dog\x1b[0m runs&#8203;home\u200bnow \ufeff") == "a dog [0m runs home now"
    assert clean_caption("A caption, as it was written!") == "A caption, as it was written!"


def test_captions_that_say_nothing_are_left_out_with_a_note():
    captions = {"a": ["a dog", "nan", "N/A"], "b": ["NaN"], "c": ["\u200b"], "d": ["a nan bread", "an NA sign"]}
    found = FoundClips(captions, {"train": ["a", "b", "d"], "val": [], "test": ["c"]}, ["e"], {"train": 4}, ["before"])
    cleaned = clean_captions(found)
    assert cleaned.captions == {"a": ["a dog"], "d": ["a nan bread", "an NA sign"]}
    assert cleaned.splits == {"train": ["a", "d"], "val": [], "test": []}
    assert (cleaned.missing, cleaned.annotated) == (["e"], {"train": 4})
    assert cleaned.notes == [
        "before",
        "captions that say nothing, such as `nan` or `NULL`: 4 are left out, of a, b, c; no caption is left of b, c",
    ]


def test_clean_captions_stay_as_they_are():
    found = FoundClips.of_all({"a": ["A red circle, half way!"]}, {"train": ["a"], "val": [], "test": []})
    assert clean_captions(found) == found
