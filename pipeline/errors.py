"""Mistakes that the user can mend: printed on one line, exit code 2. Every other exception is a bug."""

import unicodedata

MAX_MESSAGE = 8_000  # characters; a file may have put a megabyte in it
# Unicode categories: control characters, surrogates, separators of lines and of paragraphs. All other spaces are
# admitted, because cameras and people write them in names.
LINE_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})


def breaks_lines(text: str) -> bool:
    """Whether a text holds a character that ends a line or commands a terminal, or half a surrogate pair."""
    return not text.isprintable() and any(unicodedata.category(character) in LINE_BREAKING for character in text)


class PipelineError(Exception):
    """A mistake that the user can mend.

    Its message says on one line what is wrong, where (file, key, video id), what was expected and what to do.
    """

    def __str__(self) -> str:
        """The message, cut and escaped: text of a file in it can neither break the line nor command the terminal."""
        message = super().__str__()
        if len(message) > MAX_MESSAGE:
            half = MAX_MESSAGE // 2
            message = f"{message[:half]} ... {message[-half:]}"  # what to do stands at the end
        if message.isprintable():
            return message
        return "".join(
            c if c.isprintable() or unicodedata.category(c) == "Zs" else c.encode("unicode_escape").decode()
            for c in message
        )


class VideoError(PipelineError):
    """One video cannot be used. Stages record it and carry on with the others."""


class ArtifactError(PipelineError):
    """An artifact is missing, damaged, foreign or of another version."""


class DamagedError(PipelineError):
    """An artifact is not as it was written. Its message says what was found, without path and advice."""


class OutdatedError(PipelineError):
    """An artifact is of another version of its stage: no stage reads it. Its message is like that of `DamagedError`."""
