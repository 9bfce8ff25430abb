"""Markdown and HTML that came from elsewhere, made safe to show: essays (Markdown) and reports (an HTML fragment).

What comes out is a derivative for reading; the exact bytes are always offered beside it. Knows no page.
"""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_ESSAY_TAGS = {
    *("p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_REPORT_TAGS = _ESSAY_TAGS | {
    *("article", "section", "header", "footer", "figure", "figcaption", "caption", "dl", "dt", "dd", "div", "span"),
    *("time", "small", "sub", "sup", "details", "summary", "tfoot", "abbr", "cite", "q", "kbd", "var", "nav", "aside"),
}
_REPORT_ATTRIBUTES = {
    "*": {"class", "id"},
    "a": {"href"},
    "time": {"datetime"},
    "th": {"scope", "colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
    "abbr": {"title"},
    "ol": {"start"},
    "blockquote": {"cite"},
    "q": {"cite"},
}


def essay_html(text: str, title: str) -> Markup:
    """An essay as HTML: no raw HTML, no images (nothing is fetched from elsewhere), headings one level lower.

    A first heading that repeats `title` is left out, because the page's own heading shows it.
    """
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[1].content.strip() == title.strip():
        tokens = tokens[3:]
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    html = parser.renderer.render(tokens, parser.options, {})
    return Markup(  # safe: nh3 has just removed everything but the listed tags and attributes
        nh3.clean(
            html,
            tags=_ESSAY_TAGS,
            attributes={"a": {"href", "title"}, "ol": {"start"}},
            url_schemes={"http", "https", "mailto"},
            link_rel="nofollow noopener noreferrer",
        )
    )


def report_html(fragment: str) -> Markup:
    """A report's HTML fragment, all removed that could act: scripts, styles, forms, images, foreign schemes."""
    return Markup(  # safe: nh3 has just removed everything but the listed tags and attributes
        nh3.clean(
            fragment,
            tags=_REPORT_TAGS,
            attributes=_REPORT_ATTRIBUTES,
            url_schemes={"http", "https", "mailto"},
            link_rel=None,
        )
    )
