"""Mistakes that the user can mend: printed on one line, exit code 2. Every other exception is a bug."""

import unicodedata

MAX_MESSAGE = 8_000  # characters; a file may have put a megabyte in it
# Control characters, halves of characters, separators of lines and paragraphs. Cameras and people write all other
# spaces in names.
LINE_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})


def breaks_lines(text: str) -> bool:
    """Whether a text holds a character that ends a line, commands a terminal, or is none."""
    return not text.isprintable() and any(unicodedata.category(character) in LINE_BREAKING for character in text)


class PipelineError(Exception):
    """What is wrong, where (file, key, video id), what was expected and what to do, on one line."""

    def __str__(self) -> str:
        """The message; what a file has put in it can neither break the line nor command the terminal."""
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
    """An artifact is not as it was written. Its message says what was found, without the path and what to do."""


class OutdatedError(PipelineError):
    """An artifact is of another version of its stage: no stage reads it. Its message is like that of `DamagedError`."""
