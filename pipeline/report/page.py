"""Pages of HTML from templates: whatever is filled in is escaped, and what a template asks for must be there."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def fill_in(template: str, content: Mapping[str, Any]) -> str:
    """A page.

    Args:
        template: Name of a template beside this module.
        content: What it is filled in with; only `Markup` is taken as it is.
    """
    environment = Environment(
        loader=PackageLoader("pipeline", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)
