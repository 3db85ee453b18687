"""Sphinx's configuration: the site is built by `sphinx-build -M html docs build -W`."""

import inspect
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parents[1]))  # the package beside, installed or not

from repository import link_to_source

import micrograd_np as mg

project = "micrograd_np"
author = "The micrograd_np developers"
version = release = mg.__version__
html_show_copyright = False

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.linkcode",
    "numpydoc",
    "sphinx_copybutton",
    "mathml",
    "repository",
]
smartquotes = False
exclude_patterns = ["_ext", "_static", "**/figures"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # a link to a heading is written as on GitHub: page.md#its-words

# The reference: names as they are typed, signatures without types, which the words say better.
add_module_names = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
default_role = "py:obj"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
autodoc_preserve_defaults = True
linkcode_resolve = link_to_source

_PUBLIC_MODULES = [name for name in mg.__all__ if inspect.ismodule(getattr(mg, name))]

html_theme = "furo"
pygments_dark_style = "a11y-high-contrast-dark"
html_title = "micrograd_np"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b62b0", "color-brand-content": "#0b62b0"},
    "dark_css_variables": {"color-brand-primary": "#6cb6ff", "color-brand-content": "#6cb6ff"},
    "navigation_with_keys": True,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _call_names_as_they_are_typed(app: Any, doctree: nodes.document) -> None:
    """Write mg.Linear for micrograd_np.Linear, and Graph for what only functions return."""
    for name in doctree.findall(addnodes.desc_addname):
        text = name.astext()
        is_public = text.removeprefix("micrograd_np.").rstrip(".") in ("", *_PUBLIC_MODULES)
        short = text.replace("micrograd_np.", "mg.", 1) if is_public else ""
        name[:] = [nodes.Text(short)]


def setup(app: Any) -> None:
    """Connect it, and show drawings in Mermaid's language, which GitHub draws, as written."""
    app.connect("doctree-read", _call_names_as_they_are_typed)
    app.add_lexer("mermaid", TextLexer)
