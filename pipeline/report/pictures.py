"""Pictures that stages have drawn, as parts of the page."""

from base64 import b64encode

from pipeline.workflow.paths import Located


def picture_uri(file: Located) -> str:
    """A picture (PNG) as the `src` of an image."""
    return f"data:image/png;base64,{b64encode(file.path.read_bytes()).decode()}"
