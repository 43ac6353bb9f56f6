"""The entries of a configuration that is still to be checked, and may be anything."""

from collections.abc import Mapping
from typing import Any


def raw_entries(raw: Mapping[str, Any], section: str) -> dict[str, Mapping[str, Any]]:
    """The entries of a section that are mappings, as entries should be; nothing where there is no such section."""
    entries = raw.get(section)
    if not isinstance(entries, Mapping):
        return {}
    return {str(name): entry for name, entry in entries.items() if isinstance(entry, Mapping)}
