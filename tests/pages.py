"""Pages: Markdown whose Python blocks run in order, in one namespace a page.

What a block prints is shown below it, and the pictures that a page shows are files that its blocks
save. This command runs pages and writes down anew what they print and save:

    python -m tests.pages [--pictures] [docs/tutorials/one-neuron.md ...]
"""

import argparse
import base64
import contextlib
import io
import itertools
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```(text|mermaid)\n(.*?)^```\n)?", re.M | re.S)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
_STYLE: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 100,
    "path.simplify": False,  # which drops other points if a number differs in the last digit
    "savefig.bbox": "tight",
    "svg.hashsalt": "micrograd_np",
}
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
_IMAGE = re.compile(r"data:image/png;base64,([^\"]*)")
_NEAR, _ALIKE = 0.75, 0.01  # points that a line may lie beside; mean difference of pixels, of 1


class Outcome:
    """What came of a page: its text with what its blocks printed, and the files they saved."""

    def __init__(self, text: str, files: dict[str, bytes]) -> None:
        self.text, self.files = text, files


def run(text: str, name: str = "page") -> Outcome:
    """Run a page's blocks in order, in a folder of their own."""
    namespace: dict[str, Any] = {"__name__": "__page__"}

    def ran(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start()) + 1
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile("\n" * line + match[1], name, "exec"), namespace)
        shown = output.getvalue()
        if not shown:
            return f"```python\n{match[1]}```\n"
        return f"```python\n{match[1]}```\n\n```{match[2] or 'text'}\n{shown}```\n"

    with _alike_everywhere() as folder:
        written = BLOCK.sub(ran, text)
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return Outcome(written, {name: _plain(name, data) for name, data in files.items()})


@contextlib.contextmanager
def _alike_everywhere() -> Iterator[Path]:
    """Give a page a folder to write into, a clock that goes evenly, and plots of one style."""
    ticks = (tick / 100 for tick in itertools.count())
    before = Path.cwd()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("micrograd_np.training.run.perf_counter", lambda: next(ticks)),
        mpl.rc_context({"backend": "Agg"}),
    ):
        mpl.rcParams.update(_STYLE)
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)
            plt.close("all")


def _plain(name: str, data: bytes) -> bytes:
    """Return a picture without date and version."""
    if not name.endswith(".svg"):
        return data
    text = re.sub(r" *<metadata>.*?</metadata>\n", "", data.decode(), flags=re.S)
    return re.sub(r"[ \t]+$", "", text, flags=re.M).encode()


def pictures(page: Path) -> list[Path]:
    """Return the pictures that a page shows and makes: those of another page are made there."""
    found = [page.parent / target for target in PICTURE.findall(page.read_text())]
    return [path for path in found if path.parent == page.parent / "figures"]


def difference(now: bytes, before: bytes, name: str) -> str:
    """Say in what two pictures differ that a reader would see; nothing if they do not."""
    if name.endswith(".png"):
        return _pixels(now, before)
    # Names within a picture are made of its contents, to the last digit.
    texts = [re.sub(r"\b[a-z]+[0-9a-f]{10}\b", "name", x.decode()) for x in (now, before)]
    images = [[base64.b64decode(x) for x in _IMAGE.findall(text)] for text in texts]
    texts = [_IMAGE.sub("image", text) for text in texts]
    parts = [_NUMBER.sub("#", text) for text in texts]
    if parts[0] != parts[1]:
        return "it has other parts"
    places = [np.array(_NUMBER.findall(text), float) for text in texts]
    if (gap := np.abs(places[0] - places[1]).max(initial=0)) > _NEAR:
        return f"a line lies {gap:.3g} points beside the other"
    return next(filter(None, map(_pixels, *images)), "")


def _pixels(now: bytes, before: bytes) -> str:
    images: list[NDArray[Any]] = [plt.imread(io.BytesIO(x), "png") for x in (now, before)]
    if images[0].shape != images[1].shape:
        return f"an image has the shape {images[0].shape}, not {images[1].shape}"
    gap = np.abs(images[0] - images[1]).mean()
    return f"pixels differ by {gap:.3g} of 1" if gap > _ALIKE else ""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write down what pages print and save.")
    parser.add_argument("pages", type=Path, nargs="*", default=PAGES)
    parser.add_argument("--pictures", action="store_true", help="also those that look the same")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    for page in map(Path.resolve, arguments.pages):
        outcome = run(page.read_text(), str(page))
        page.write_text(outcome.text)
        for path in pictures(page):
            path.parent.mkdir(exist_ok=True)
            picture = outcome.files[path.name]
            is_new = arguments.pictures or not path.exists()
            if is_new or difference(picture, path.read_bytes(), path.name):
                path.write_bytes(picture)
                print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
