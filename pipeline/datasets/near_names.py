"""Names that a person may have meant who wrote another."""

import difflib
from collections.abc import Collection, Iterable


def other_cases(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """For each name that is not known, the known one that differs from it in upper and lower case alone, if any."""
    by_case = {name.casefold(): name for name in known}
    exact = set(known)
    return {name: by_case[name.casefold()] for name in names if name not in exact and name.casefold() in by_case}


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that is most like a name, or None if none is much like it."""
    same = other_cases([name], known)
    return same.get(name) or next(iter(difflib.get_close_matches(name, known, n=1)), None)
