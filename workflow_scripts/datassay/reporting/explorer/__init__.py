"""The map as one web page: every train row as a point, to be coloured, filtered, searched and selected.

Tables in, the text of a self-contained HTML file out; the page loads nothing from anywhere.
"""

from datassay.reporting.explorer.assemble import build_page

__all__ = ["build_page"]
