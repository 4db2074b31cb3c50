"""A table of text with footnotes, and how it is written for a terminal, in Markdown, LaTeX and HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from bench.core.text import printable


@final
@dataclass(frozen=True)
class TextTable:
    """One table, as text that is not yet escaped.

    Attributes:
        title: heading or caption.
        headers: one a column; columns of names come first and are aligned left, columns of figures right.
        rows: as many texts each.
        names: how many columns hold names.
        footnotes: the first is number 1; cells refer to it as ``[1]``.
        remarks: on the whole table, one sentence each.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    footnotes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def numbered(footnotes: Iterable[str]) -> dict[str, int]:
    """Footnotes in the order of their first mention, each with its number."""
    return {text: number for number, text in enumerate(dict.fromkeys(footnotes), 1)}


def marked(text: str, footnotes: Iterable[str], numbers: Mapping[str, int]) -> str:
    """A cell's text with the numbers of its footnotes."""
    marks = sorted({numbers[footnote] for footnote in footnotes})
    return f"{text} [{','.join(map(str, marks))}]".lstrip() if marks else text


def terminal(tables: Sequence[TextTable], legend: str) -> str:
    """Aligned columns; what texts hold of control characters is made visible."""
    parts = []
    for table in tables:
        title = printable(table.title)
        lines = [title, "=" * len(title), _aligned(table, "simple", printable), ""]
        lines += [f"[{number}] {printable(text)}" for number, text in enumerate(table.footnotes, 1)]
        lines += [f" ·  {printable(remark)}" for remark in table.remarks]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, legend + "\n"])


def markdown(tables: Sequence[TextTable], legend: str) -> str:
    """The legend, then one section with a pipe table for each table."""
    parts = [f"{markdown_text(legend)}\n"]
    for table in tables:
        lines = [f"## {markdown_text(table.title)}", "", _aligned(table, "pipe", markdown_text), ""]
        lines += [f"- [{number}] {markdown_text(text)}" for number, text in enumerate(table.footnotes, 1)]
        lines += [f"- {markdown_text(remark)}" for remark in table.remarks]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def latex(tables: Sequence[TextTable], legend: str) -> str:
    r"""One ``table`` environment for each table, with ``\hline``: no package is needed."""
    parts = []
    for table in tables:
        columns = "l" * table.names + "r" * (len(table.headers) - table.names)
        lines = [rf"\begin{{table}}\centering\caption{{{latex_text(table.title)}}}", rf"\begin{{tabular}}{{{columns}}}"]
        lines += [r"\hline", _latex_row(table.headers), r"\hline", *map(_latex_row, table.rows), r"\hline"]
        lines += [r"\end{tabular}", r"\par\smallskip\raggedright\footnotesize"]
        lines += [rf"[{number}] {latex_text(text)}\par" for number, text in enumerate(table.footnotes, 1)]
        lines += [rf"{latex_text(remark)}\par" for remark in (*table.remarks, legend)]
        parts.append("\n".join([*lines, r"\end{table}"]) + "\n")
    return "\n".join(parts)


def html(tables: Sequence[TextTable], legend: str) -> str:
    """A fragment: for each table a ``table`` with its caption, and its footnotes and remarks; the legend last."""
    parts = []
    for table in tables:
        lines = [
            "<table>",
            f"<caption>{html_text(table.title)}</caption>",
            "<thead>",
            _html_row(table.headers, "th"),
        ]
        lines += ["</thead>", "<tbody>", *(_html_row(row, "td") for row in table.rows), "</tbody>", "</table>"]
        notes = [f"[{number}] {text}" for number, text in enumerate(table.footnotes, 1)] + list(table.remarks)
        lines += ["<ul>", *(f"<li>{html_text(note)}</li>" for note in notes), "</ul>"] if notes else []
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, f"<p>{html_text(legend)}</p>\n"])


def _aligned(table: TextTable, style: str, escape: Callable[[str], str]) -> str:
    from tabulate import tabulate

    return tabulate(
        [[escape(text) for text in row] for row in table.rows],
        headers=[escape(header) for header in table.headers],
        tablefmt=style,
        disable_numparse=True,
        colalign=["left"] * table.names + ["right"] * (len(table.headers) - table.names),
    )


def _latex_row(texts: Sequence[str]) -> str:
    return " & ".join(map(latex_text, texts)) + r" \\"


def _html_row(texts: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html_text(text)}</{tag}>' for text in texts)}</tr>"


# ----------------------------------------------------------------------------------------------------------------------
# Text from outside


def markdown_text(text: str) -> str:
    """Text from outside, so that Markdown shows it as it is, also inside a table."""
    escaped = re.sub(r"[\\|<>`*~&]", lambda match: _MARKDOWN[match[0]], printable(text))
    escaped = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)
    return escaped.replace("](", "]\\(")


def latex_text(text: str) -> str:
    """Text from outside, so that LaTeX prints it as it is; signs beyond ASCII that tables use become commands."""
    escaped = "".join(_LATEX.get(character, character) for character in printable(text))
    return re.sub("-(?=-)", "-{}", escaped).replace("–", "--")  # two hyphens would become a dash


def html_text(text: str) -> str:
    """Text from outside, so that HTML shows it as it is."""
    from html import escape

    return escape(printable(text))


_MARKDOWN = {"<": "&lt;", ">": "&gt;", "&": "&amp;"} | {sign: f"\\{sign}" for sign in r"\|`*~"}

_LATEX = {sign: f"\\{sign}" for sign in "%&#$_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after a line break a bracket would be its option
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "…": r"\ldots{}",
}
