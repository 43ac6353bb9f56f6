"""Mistakes that the user can mend: printed on one line, exit code 2. Every other exception is a bug."""

MAX_MESSAGE = 8_000  # characters; a file may have put a megabyte in it


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
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)


class VideoError(PipelineError):
    """One video cannot be used. Stages record it and carry on with the others."""
