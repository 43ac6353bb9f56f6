"""What people call the splits."""

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validate", "validation", "dev"),
    "test": ("test", "testing"),
}
NAMED = {name: split for split, names in SPLIT_NAMES.items() for name in names}
KNOWN = ", ".join(NAMED)  # for messages


def split_named(name: object) -> str | None:
    """The split (train, val or test) that a name stands for, in upper or lower case; None for any other value."""
    return NAMED.get(name.strip().casefold()) if isinstance(name, str) else None
