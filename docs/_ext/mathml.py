"""Formulas as MathML, which browsers draw without a script."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

_logger = logging.getLogger(__name__)
_TOKEN = re.compile(
    r"""
    (?P<text>\\(?:begin|end|text\w*)\s*\{[^{}]*\})
    | (?P<name>\\(?:cos|exp|log|max|min|sin|tanh)\b | \\(?:math\w+|operatorname)\s*\{[^{}]*\})
    | (?P<command>\\[A-Za-z]+ | \\.)
    | (?P<word>[A-Za-z](?:[A-Za-z]|\\_)+[A-Za-z] | \blr\b)
    | (?P<space>\s+)
    | (?P<sign>.)
    """,
    re.VERBOSE,
)


def mathml(latex: str, is_block: bool) -> str:
    """Return the MathML of a formula; ValueError if a part of it is left as LaTeX."""
    latex = _with_words(latex.strip())
    if is_block and r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{split}}{latex}\end{{split}}"
    result: str = convert(latex, display="block" if is_block else "inline")
    if "\\" in result or "&<" in result:
        raise ValueError(f"cannot show the formula {latex}")
    return result


def _with_words(latex: str) -> str:
    """Write names of several letters, such as lr, as words and not as products of letters.

    Where a space stands between a name and its neighbour, a thin one will be seen.
    """
    tokens = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(latex)]
    written = []
    for i, (kind, token) in enumerate(tokens):
        if kind == "word":
            written.append(rf"\text{{{token.replace(chr(92), '')}}}")
        elif kind == "space" and 0 < i < len(tokens) - 1:
            (before, left), (after, right) = tokens[i - 1], tokens[i + 1]
            between_names = (before in ("name", "word") or left.isalnum() or left in ")}") and (
                after in ("name", "word") or right.isalnum() or (right == "(" and before == "word")
            )
            has_name = {before, after} & {"name", "word"}
            written.append(r"\," if between_names and has_name else " ")
        else:
            written.append(token)
    return "".join(written)


def _written(node: nodes.Element, is_block: bool) -> str:
    try:
        return mathml(node.astext(), is_block)
    except Exception as error:  # of whatever kind: it shall name the page
        _logger.warning("%s", error, location=node)
        return ""


def _visit_inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append(f'<span class="math">{_written(node, False)}</span>')
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.Element) -> None:
    translator.body.append(f'<div class="math" tabindex="0">{_written(node, True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Give Sphinx the renderer "mathml"."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
