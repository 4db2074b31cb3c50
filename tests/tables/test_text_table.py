"""Text from outside in Markdown, LaTeX, HTML and on a terminal."""

from __future__ import annotations

import pytest

from bench.core.text import printable
from bench.tables.text_table import html_text, latex_text, markdown_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dm [lr=10]", "dm [lr=10]"),
        ("static_dynamic", "static_dynamic"),
        ("_x_", r"\_x\_"),
        ("[a](b)", r"[a]\(b)"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        (r"a\|b", r"a\\\|b"),
        ("*`~", r"\*\`\~"),
    ],
)
def test_markdown_shows_text_as_it_is(text, shown):
    assert markdown_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("é ± ×", "é ± ×"),
        ("a\nb\tc", r"a\x0ab\x09c"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\u202egnp", r"\u202egnp"),
        ("\u2028", r"\u2028"),
        ("\U000e0001", r"\U000e0001"),
        ("\udc80", r"\udc80"),
    ],
)
def test_control_characters_are_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("50 % of a_b & #1", r"50 \% of a\_b \& \#1"),
        (r"\input{x}$", r"\textbackslash{}input\{x\}\$"),
        ("[1] a--b ---", "{[}1] a-{}-b -{}-{}-"),
        ("1.5 ± 0.2 × 3 † ‡ 1–2", r"1.5 $\pm$ 0.2 $\times$ 3 $\dagger$ $\ddagger$ 1--2"),
        ("<~^|`>", r"$<$\textasciitilde{}\textasciicircum{}$|$\textasciigrave{}$>$"),
        ("\x1b", r"\textbackslash{}x1b"),
    ],
)
def test_latex_prints_text_as_it_is(text, shown):
    assert latex_text(text) == shown


def test_html_shows_text_as_it_is():
    assert html_text('<b a="x">&\'\n') == "&lt;b a=&quot;x&quot;&gt;&amp;&#x27;\\x0a"
