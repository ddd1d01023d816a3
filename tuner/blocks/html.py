"""Blocks as one HTML file: it contains its style and figures, has no scripts and loads nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tuner.blocks import Page
from tuner.blocks.palette import colours
from tuner.shown import printable

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "page.html"


def html(page: Page) -> str:
    """Return a page as one HTML file; all text is escaped."""
    return _template().render(page=page, light=colours("light"), dark=colours("dark"))


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tuner.blocks", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    environment.filters["kind"] = lambda block: type(block).__name__.lower()
    return environment.get_template(TEMPLATE)
