"""Figures of the page, as inline SVG: the page's one room for matplotlib."""
