"""README and docs: every Python block runs, in one namespace a page, and prints what is shown."""

import re
from pathlib import Path

import pytest

import micrograd_np as mg
from tests.pages import PAGES, ROOT, difference, pictures, run


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_blocks_print_what_is_shown_and_save_the_pictures(page: Path) -> None:
    text = page.read_text()
    outcome = run(text, str(page))
    assert outcome.text == text
    for path in pictures(page):
        assert not difference(outcome.files[path.name], path.read_bytes(), path.name), path.name


def test_every_picture_is_shown_by_one_page() -> None:
    shown = [path.resolve() for page in PAGES for path in pictures(page)]
    assert sorted(shown) == sorted((ROOT / "docs").rglob("figures/*"))


def test_a_wrong_output_and_a_block_that_fails_are_found() -> None:
    right = "```python\nx = 2\n```\n\n```python\nprint(x)\n```\n\n```text\n2\n```\n"
    assert run(right).text == right
    assert run(right.replace("text\n2", "text\n3")).text == right
    assert run("```python\nprint(1)\n```\n").text == "```python\nprint(1)\n```\n\n```text\n1\n```\n"
    assert run("```python\n1\n```\n\n```text\n1\n```\n").text == "```python\n1\n```\n"
    with pytest.raises(ZeroDivisionError):
        run("```python\n1 / 0\n```\n")


def test_a_picture_that_is_not_current_is_found() -> None:
    page = """```python
import numpy as np
from matplotlib import pyplot as plt

figure, axes = plt.subplots(figsize=(3, 2))
axes.plot([0, 1, 2], [0, 1, HEIGHT])
figure.savefig("line.svg")
figure, axes = plt.subplots(figsize=(3, 2))
axes.imshow(np.full((9, 9), BRIGHTNESS), vmin=0, vmax=2)
figure.savefig("image.svg")
figure.savefig("image.png")
```
"""

    def drawn(height: str, brightness: str) -> dict[str, bytes]:
        return run(page.replace("HEIGHT", height).replace("BRIGHTNESS", brightness)).files

    first, nearly = drawn("2", "1"), drawn("2.0000001", "1.0000001")
    for name in ("line.svg", "image.svg", "image.png"):
        assert not difference(nearly[name], first[name], name)
        assert difference(drawn("2.2", "1.5")[name], first[name], name)
    assert difference(first["image.svg"], first["line.svg"], "line.svg") == "it has other parts"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(
            r"\]\(([^)#]+)", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        ):
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


def test_the_table_of_the_reference_has_every_public_name() -> None:
    table = re.findall(r"^\|.*", (ROOT / "docs" / "reference" / "index.md").read_text(), re.M)
    assert [name for name in mg.__all__ if f"`{name}`" not in "".join(table)] == ["__version__"]
