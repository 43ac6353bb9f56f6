"""Mistakes that the user can mend: printed on one line, exit code 2. Every other exception is a bug."""


class PipelineError(Exception):
    """What is wrong, where (file, key, video id), what was expected and what to do, on one line."""


class VideoError(PipelineError):
    """One video cannot be used. Stages record it and carry on with the others."""
