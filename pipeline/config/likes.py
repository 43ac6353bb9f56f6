"""Write out entries of config.yaml that say only what differs from another: `coarse: {like: grid, cells: 2}`."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.mistakes import suggest

MAX_CHAIN = 50  # most entries that may each be like the next


def resolve_likes(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Write out every entry that is `like` another of its section.

    Mappings inside an entry are joined key by key; any other value replaces the one it is like. The other entry may
    itself be like a third.

    Args:
        raw: The configuration as read; it is left as it is.

    Returns:
        The configuration without `like`; and the mistakes found in it: names that are not there, circles, and chains
        that are too long.
    """
    mistakes: list[str] = []
    resolved: dict[str, Any] = {}
    for section, entries in raw.items():
        if not isinstance(entries, Mapping):
            resolved[section] = entries
            continue
        resolved[section] = {
            name: _resolve(section, entries, name, (), mistakes) if isinstance(entry, Mapping) else entry
            for name, entry in entries.items()
        }
    return resolved, list(dict.fromkeys(mistakes))


def without_inherited(raw: Mapping[str, Any], mistakes: list[str]) -> list[str]:
    """Leave out the mistakes that an entry only inherits from the one it is like.

    Args:
        raw: The configuration as read.
        mistakes: Messages that start with their place: "`section.entry.key...".
    """
    found = set(mistakes)
    own = []
    for mistake in dict.fromkeys(mistakes):
        section, _, rest = mistake.removeprefix("`").partition(".")
        entries = raw.get(section)
        likes = {
            f"`{section}.{name}.": f"`{section}.{entry['like']}."
            for name, entry in (entries.items() if isinstance(entries, Mapping) else ())
            if isinstance(entry, Mapping) and "like" in entry
        }
        place = next((place for place in likes if rest and mistake.startswith(place)), None)
        if place is None or likes[place] + mistake.removeprefix(place) not in found:
            own.append(mistake)
    return own


def _resolve(
    section: str, entries: Mapping[str, Any], name: str, above: tuple[str, ...], mistakes: list[str]
) -> dict[str, Any]:
    entry = dict(entries[name])
    if "like" not in entry:
        return entry
    other = entry.pop("like")
    if not isinstance(other, str):
        mistakes.append(f"`{section}.{name}.like`: expected the name of another entry of `{section}`")
    elif len(above) > MAX_CHAIN:
        mistakes.append(f"`{section}.{name}.like: {other}`: a chain of more than {MAX_CHAIN}: write one of them out")
    elif other in (*above, name):
        circle = " -> ".join([*above, name, str(other)])
        mistakes.append(f"`{section}.{name}.like: {other}`: goes round in a circle ({circle}): write one of them out")
    elif not isinstance(entries.get(other), Mapping):
        known = [str(n) for n, e in entries.items() if isinstance(e, Mapping) and n != name]
        mistakes.append(f"`{section}.{name}.like: {other}`: no such entry in `{section}`{suggest(str(other), known)}")
    else:
        return _joined(_resolve(section, entries, other, (*above, name), mistakes), entry)
    return entry


def _joined(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(under)
    for key, value in over.items():
        below = joined.get(key)
        joined[key] = _joined(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return joined
