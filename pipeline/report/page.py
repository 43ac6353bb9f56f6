"""Make HTML pages from templates: all content is escaped, and a template may ask for nothing that is not there."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def fill_in(template: str, content: Mapping[str, Any]) -> str:
    """Fill in a template and return the page.

    Args:
        template: Name of a template in the folder of this module.
        content: The template's variables; all text but `Markup` is escaped.

    Raises:
        jinja2.UndefinedError: The template asks for a variable that is not there.
    """
    environment = Environment(
        loader=PackageLoader("pipeline", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)
