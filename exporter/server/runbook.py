"""The runbook as a page, so that the links in messages lead to what to do, wherever they are read."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

from exporter.server.landing import environment

# A link to the repository's own file, which a wheel has beside this module.
_TEXT = Path(__file__).with_name("runbook.md")


@cache
def page() -> str:
    """The page as HTML; a heading's anchor is its text in lower case, as repositories make them."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_TEXT.read_text("utf-8"))
    for opening, words in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", re.sub(r"[^\w-]", "", words.content.lower().replace(" ", "-")))
    body = markdown.renderer.render(tokens, markdown.options, {})
    return environment().get_template("runbook.html").render(body=body)
