"""README and docs: every Python block runs, in one namespace a page, and prints what is shown."""

import contextlib
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

import micrograd_np as mg

mpl.use("Agg")

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```(?:text|mermaid)\n(.*?)^```\n)?", re.M | re.S)


def run_page(text: str, name: str = "page") -> int:
    """Run a page's blocks in order; return how many there were."""
    namespace: dict[str, Any] = {"__name__": "__page__"}
    count = 0
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile("\n" * line + match[1], name, "exec"), namespace)
        assert output.getvalue() == (match[2] or ""), f"{name}, block at line {line}"
        count += 1
    return count


@pytest.fixture(autouse=True)
def _alike_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give pages a folder of their own to write into, and a clock that goes evenly; close plots."""
    monkeypatch.chdir(tmp_path)
    times = (ticks / 100 for ticks in itertools.count())
    monkeypatch.setattr("micrograd_np.training.run.perf_counter", lambda: next(times))
    yield
    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_blocks_run_and_print_what_is_shown(page: Path) -> None:
    text = page.read_text()
    assert run_page(text, str(page)) == text.count("```python")


def test_a_wrong_output_and_a_block_that_fails_are_found() -> None:
    assert run_page("```python\nx = 2\n```\n\n```python\nprint(x)\n```\n\n```text\n2\n```\n") == 2
    with pytest.raises(AssertionError, match="block at line 1"):
        run_page("```python\nprint(1)\n```\n\n```text\n2\n```\n")
    with pytest.raises(AssertionError):
        run_page("```python\nprint(1)\n```\n")
    with pytest.raises(ZeroDivisionError):
        run_page("```python\n1 / 0\n```\n")


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), (page, target)


def test_the_readme_is_short_and_has_two_commands() -> None:
    text = PAGES[0].read_text()
    assert text.count("\n") <= 120
    assert len(re.findall(r"^```bash\n[^\n]+\n```$", text, re.M)) == text.count("```bash") == 2


def test_the_readmes_transcript_is_what_the_tutorial_prints() -> None:
    # tests/test_examples.py holds the same figures against a real run.
    shown = re.search(r"It prints\n\n```text\n(.*?)```", PAGES[0].read_text(), re.S)
    printed = (ROOT / "tests" / "test_examples.py").read_text()
    assert shown is not None
    for line in shown[1].splitlines():
        assert f'"{line}\\n"' in printed


def test_the_table_of_the_index_has_every_public_name() -> None:
    table = re.findall(r"^\|.*", (ROOT / "docs" / "index.md").read_text(), re.M)
    assert [name for name in mg.__all__ if f"`{name}`" not in "".join(table)] == ["__version__"]
