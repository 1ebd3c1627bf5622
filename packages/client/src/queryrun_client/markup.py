"""HTML for notebooks. Every text of a result, a statement or a server is escaped: none may become
markup or a script of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MAX_ROWS = 200
"""Of one table in a notebook."""
_LEFT = "text-align:left;white-space:pre-wrap"


def properties_html(title: str, pairs: Iterable[tuple[str, str]]) -> str:
    """A title, and a line per property."""
    rows = "".join(
        f'<tr><th style="{_LEFT}">{escape(name)}</th><td style="{_LEFT}">{escape(value)}</td></tr>'
        for name, value in pairs
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table></div>"


def grid_html(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A title and a table of texts, of which the first `MAX_ROWS` rows."""
    head = "".join(f'<th style="{_LEFT}">{escape(text)}</th>' for text in headings)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_LEFT}">{escape(text)}</td>' for text in row) + "</tr>"
        for row in rows[:MAX_ROWS]
    )
    more = f"<p>and {len(rows) - MAX_ROWS} more</p>" if len(rows) > MAX_ROWS else ""
    return f"<div><strong>{escape(title)}</strong><table><tr>{head}</tr>{body}</table>{more}</div>"


def bar_html(text: str, percent: float | None) -> str:
    """A progress bar; one without an end where nobody knows how far it is."""
    value = "" if percent is None else f' value="{min(max(percent, 0.0), 100.0):.1f}"'
    return f'<div><progress max="100"{value}></progress> {escape(text)}</div>'


def marked_html(before: str, marked: str, after: str) -> str:
    """A line of a statement with the wrong part underlined."""
    return f'<pre>{escape(before)}<u style="color:#c00">{escape(marked)}</u>{escape(after)}</pre>'
