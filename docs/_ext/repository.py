"""The repository's files on the site: pages with their source, and links that lead there."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.osutil import relative_uri

ROOT = Path(__file__).parents[2]
# Files and folders outside docs/ that have a page of their own there.
PAGES = {
    "README.md": "index",
    "docs": "index",
    "examples": "examples",
    "tests/benchmarks": "benchmarks",
    "tests/benchmarks/README.md": "benchmarks",
}


def _page_of(path: Path) -> str | None:
    """Return the page that shows a file or folder of the repository, if any does."""
    if not path.is_relative_to(ROOT):
        return None
    name = path.relative_to(ROOT).as_posix()
    is_page = name.startswith("docs/") and name.endswith(".md")
    return PAGES.get(name) or (f"source/{name}" if path.is_file() and not is_page else None)


def _lead_links_to_pages(app: Any, doctree: nodes.document) -> None:
    """Let links to files outside docs/ lead to pages of the site, and note which are shown."""
    here = app.env.docname
    for node in list(doctree.findall(nodes.Element)):
        target = _target(app, node) if node.get("reftype") == "myst" else None
        page = target and _page_of(target)
        if page:
            uri = relative_uri(f"{here}.html", f"{page}.html") + _anchor(node)
            node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))
            if page.startswith("source/"):
                app.env.linked_files = {target, *getattr(app.env, "linked_files", ())}


def _target(app: Any, link: nodes.Element) -> Path:
    """Return the file that a link in a page leads to, as far as it is outside docs/."""
    if link.get("refdomain") == "doc":  # Markdown, without the end of its name
        return Path(f"{link['reftarget']}.md")
    name = link["reftarget"].partition("#")[0] or "."
    return (Path(app.srcdir, app.env.docname).parent / name).resolve()


def _anchor(link: nodes.Element) -> str:
    anchor = link.get("reftargetid") or link["reftarget"].partition("#")[2]
    return f"#{anchor}" if anchor else ""


def _source_pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Make a page of each file: its lines, numbered, with an anchor for each."""
    files = {path for name in ("micrograd_np", "examples") for path in (ROOT / name).rglob("*.py")}
    for path in sorted(files.union(getattr(app.env, "linked_files", ()))):
        name = path.relative_to(ROOT).as_posix()
        language = {".py": "python", ".toml": "toml"}.get(path.suffix, "text")
        code = app.builder.highlighter.highlight_block(
            path.read_text(), language, linenos="inline", lineanchors="line"
        )
        yield f"source/{name}", {"title": name, "body": f"<h1>{name}</h1>\n{code}"}, "page.html"


def link_to_source(domain: str, info: dict[str, str]) -> str | None:
    """Return where the source of a name of the reference is, from a page in reference/."""
    try:
        found: Any = importlib.import_module(info["module"])
        names = info["fullname"]
    except ModuleNotFoundError:  # mg.metrics is a module under another name
        package, _, names = f"{info['module']}.{info['fullname']}".partition(".")
        found = importlib.import_module(package)
    for part in names.split("."):
        found = inspect.getattr_static(found, part)
        found = getattr(found, "__func__", getattr(found, "fget", found))
    if inspect.isfunction(found):  # a method that runs one op leads to the op
        found = inspect.getclosurevars(found).nonlocals.get("op", found)
    try:
        path = Path(inspect.getsourcefile(found) or "").resolve()
        line = inspect.getsourcelines(found)[1]
    except TypeError:  # a number, a type alias
        return None
    page = _page_of(path)
    return page and f"../{page}.html#line-{line}"


def setup(app: Any) -> dict[str, bool]:
    """Connect the links and the pages."""
    app.connect("doctree-read", _lead_links_to_pages, priority=400)  # before files are collected
    app.connect("html-collect-pages", _source_pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
