"""The words that say where weights come from: they stand in files, and a changed word would change their digests."""

from pathlib import Path

import pytest

from pipeline.weights.origin import RANDOM, after_training, from_file, from_tag, imported_file, is_untrained

SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"


def test_the_words(tmp_path: Path) -> None:
    (tmp_path / "rgb imagenet.pt").write_bytes(b"abc")
    assert RANDOM == "random"
    assert from_file(tmp_path / "rgb imagenet.pt") == f"file rgb imagenet.pt sha256 {SHA256}"
    assert from_tag("ViT-B-32", "openai") == "open_clip ViT-B-32 openai"
    assert after_training("fine-tuned", "shapes", "random") == "fine-tuned on shapes from random"


@pytest.mark.parametrize(
    ("origin", "untrained"),
    [
        ("random", True),
        ("fine-tuned on shapes from random", False),
        ("trained on shapes from random", False),
        (f"file random.pt sha256 {SHA256}", False),
        ("open_clip ViT-B-32 openai", False),
        ("unknown", False),
    ],
)
def test_weights_are_untrained_if_nothing_but_a_seed_made_them(origin: str, untrained: bool) -> None:
    assert is_untrained(origin) is untrained


@pytest.mark.parametrize(
    ("origin", "imported"),
    [
        (f"file a.pt sha256 {SHA256}", ("a.pt", SHA256)),
        (f"file a file b.pt sha256 {SHA256}", ("a file b.pt", SHA256)),
        (f"fine-tuned on profile from file a.pt sha256 {SHA256}", ("a.pt", SHA256)),
        ("random", None),
        ("trained on file from random", None),
        ("open_clip ViT-B-32 openai", None),
        ("file a.pt sha256 12", None),
    ],
)
def test_the_file_is_found_that_weights_come_from(origin: str, imported: tuple[str, str] | None) -> None:
    assert imported_file(origin) == imported
