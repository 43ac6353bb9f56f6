"""Mistakes that the user can mend: printed on one line, exit code 2. Every other exception is a bug."""


class PipelineError(Exception):
    """What is wrong, where (file, key, video id), what was expected and what to do, on one line."""

    def __str__(self) -> str:
        """The message; what a file has put in it can neither break the line nor command the terminal."""
        message = super().__str__()
        if message.isprintable():
            return message
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)


class VideoError(PipelineError):
    """One video cannot be used. Stages record it and carry on with the others."""
