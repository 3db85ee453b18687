"""Drawing: the boxes of a graph laid out in columns from left to right, and written as SVG.

A column holds tensors, each with the op that made it at its left. An arrow that passes a column
bends there in a place of its own, so that it runs through no box.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from unicodedata import east_asian_width

from .boxes import Box

COLOURS = {  # of the inside and of the border, and the border's width
    "parameter": ("#ffe3b3", "#c05800", 2.5),
    "input": ("#d8eaf8", "#2c6fa8", 1),
    "constant": ("#ececec", "#8a8a8a", 1),
    "value": ("#ffffff", "#444444", 1),
    "op": ("#e9e4f5", "#6a55a0", 1),
}
FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
CHARACTER, LINE, PADDING = 7.3, 16, 8  # of text, in pixels
GAP, LANE, STEM, MARGIN = 14, 44, 22, 16  # between boxes, columns, an op and its value; around all
HEAD = "m-6-4l6 4-6 4"
SWEEPS = 13
LIGHT = 1e-6  # how much a parameter or constant pulls at others, beside 1
MOST = 50_000  # places in a picture


@dataclass(eq=False)
class Place:
    """Where a box stands, or where an arrow bends that passes a column."""

    column: int
    height: int
    weight: float  # how much it pulls at its neighbours
    before: list["Place"] = field(default_factory=list)  # its neighbours in the column before
    after: list["Place"] = field(default_factory=list)
    y: float = 0  # of its middle
    left: int = 0  # of the whole column
    right: int = 0


def draw(boxes: list[Box], title: str) -> str:
    """Return a picture of a graph as SVG."""
    trunks, columns = _placed(boxes)
    _settle(columns)
    width = _stretch(columns, boxes, trunks)
    height = max(place.y + place.height // 2 for column in columns for place in column) + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="12">',
        f"<title>{escaped(title)}</title>",
        '<rect width="100%" height="100%" rx="8" fill="#fff"/>',
        '<g fill="none" stroke="#555" stroke-width="1.2">',
        *_arrows(boxes, trunks),
        '</g>\n<g text-anchor="middle">',
        *(_picture(box, trunk[0]) for box, trunk in zip(boxes, trunks)),
        "</g>\n</svg>\n",
    ])  # fmt: skip


def escaped(text: str, mark: str = "&#") -> str:
    """Write by its number every character that could mean something to SVG, DOT or Mermaid."""

    def numbered(found: re.Match[str]) -> str:
        # DOT and Mermaid take a backslash for the start of a line break even so.
        is_harmless = found[0].isprintable() and found[0] != "\\"
        return f"{mark}{ord(found[0]) if is_harmless else 0xFFFD};"

    return re.sub(r"[^A-Za-z0-9 .,:=()+/-]", numbered, text)


def _placed(boxes: list[Box]) -> tuple[list[list[Place]], list[list[Place]]]:
    """Return each box's place followed by the bends of its arrows; and all places by column."""
    first = _columns(boxes)
    last = list(first)  # the column in which the arrows of a box bend last
    for box, column in zip(boxes, first):
        for source in box.sources:
            last[source] = max(last[source], column - 1)
    _check_size(boxes, len(boxes) + sum(last) - sum(first))
    trunks: list[list[Place]] = []
    columns: list[list[Place]] = [[] for _ in range(max(first) + 1)]
    for i, box in enumerate(boxes):
        weight = 1 if box.kind in ("input", "value") else LIGHT
        trunk = [Place(first[i], max(_height(box.lines), _height(box.op_lines)), weight)]
        trunk += [Place(column, 0, 1) for column in range(first[i] + 1, last[i] + 1)]
        sources = [
            trunks[source][first[i] - 1 - first[source]] for source in dict.fromkeys(box.sources)
        ]
        for before, after in [*pairwise(trunk), *((source, trunk[0]) for source in sources)]:
            before.after.append(after)
            after.before.append(before)
        for place in trunk:
            columns[place.column].append(place)
        trunks.append(trunk)
    return trunks, columns


def _check_size(boxes: list[Box], count: int) -> None:
    """Refuse a picture that nobody could look at."""
    if count > MOST:
        raise ValueError(
            f"a picture can have {MOST:,} tensors and bends of arrows; this graph of "
            f"{sum(bool(box.op) for box in boxes):,} ops needs {count:,}: draw a smaller "
            "computation, or use mermaid(), dot() or repr()"
        )


def _columns(boxes: list[Box]) -> list[int]:
    """Return each box's column: as far to the right as its users allow, which keeps arrows short.

    What nobody uses comes right after all that it needs.
    """
    columns = [0] * len(boxes)
    for i, box in enumerate(boxes):
        columns[i] = 1 + max((columns[source] for source in box.sources), default=-1)
    used = {source for box in boxes for source in box.sources}
    columns = [len(boxes) if i in used else column for i, column in enumerate(columns)]
    for i in reversed(range(len(boxes))):
        for source in boxes[i].sources:
            columns[source] = min(columns[source], columns[i] - 1)
    return columns


def _settle(columns: list[list[Place]]) -> None:
    """Give places the height of their neighbours, from column to column, there and back."""
    for sweep in range(SWEEPS):
        back = sweep % 2 == 0
        for column in reversed(columns) if back else columns:
            wanted = {
                place: _wanted(place, place.after if back else place.before) for place in column
            }
            column.sort(key=lambda place: round(wanted[place]))  # ties keep the order of arguments
            for place, y in zip(column, _apart(column, [wanted[place] for place in column])):
                place.y = y
    top = min(place.y - place.height / 2 for column in columns for place in column) - MARGIN
    for column in columns:
        for place in column:
            place.y = round(place.y - top)


def _stretch(columns: list[list[Place]], boxes: list[Box], trunks: list[list[Place]]) -> int:
    """Say where the columns begin and end; return the width of the picture."""
    widths = [0] * len(columns)
    for box, (place, *_) in zip(boxes, trunks):
        widths[place.column] = max(widths[place.column], _width(box))
    left = MARGIN
    for column, width in zip(columns, widths):
        for place in column:
            place.left, place.right = left, left + width
        left += width + LANE
    return left - LANE + MARGIN


def _wanted(place: Place, neighbours: list[Place]) -> float:
    """Return the height at which a place's arrows would be straight, or nearly."""
    if not neighbours:
        return place.y
    weight = sum(other.weight for other in neighbours)
    return sum(other.weight * other.y for other in neighbours) / weight


def _apart(column: list[Place], wanted: list[float]) -> list[float]:
    """Return heights as near to those wanted as can be, in this order and without overlap.

    Less the room that lies between, they must not fall. Those that would are pooled at their mean,
    which makes the weighted sum of squares least.
    """
    room = [(above.height + below.height) / 2 + GAP for above, below in pairwise(column)]
    offsets = list(accumulate(room, initial=0.0))
    pools: list[tuple[float, float, int]] = []  # mean, weight, number of places
    for place, y, offset in zip(column, wanted, offsets):
        mean, weight, count = y - offset, place.weight, 1
        while pools and pools[-1][0] > mean:
            other, heavy, many = pools.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + many
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets)]


def _arrows(boxes: list[Box], trunks: list[list[Place]]) -> Iterator[str]:
    """Yield the arrows: for each box what they share, the parts that end at ops, the op's own."""
    for box, trunk in zip(boxes, trunks):
        here = trunk[0]
        if len(trunk) > 1:
            bends = (f"{_curve(a, b.left, b.y)}H{b.right}" for a, b in pairwise(trunk))
            yield f'<path d="M{here.right} {here.y}{"".join(bends)}"/>'
        for source, many in Counter(box.sources).items():
            start = trunks[source][here.column - 1 - trunks[source][0].column]
            for k in range(many):  # side by side
                y = here.y + round((k - (many - 1) / 2) * min(10, 16 / many))
                path = f"M{start.right} {start.y}{_curve(start, here.left, y)}"
                yield f'<path d="{path}H{here.right - _width(box)}{HEAD}"/>'
        if box.op:
            yield f'<path d="M{here.right - _room(box.lines) - STEM} {here.y}h{STEM}{HEAD}"/>'


def _curve(start: Place, x: int, y: float) -> str:
    """Continue a path from a place to a point in the next column, level at both ends."""
    middle = (start.right + x) // 2
    return f"C{middle} {start.y} {middle} {y} {x} {y}"


def _picture(box: Box, place: Place) -> str:
    """Return a box with its op."""
    drawn = _framed(box.lines, place.right, place.y, COLOURS[box.kind], 5, bool(box.name))
    if box.op:
        right = place.right - _room(box.lines) - STEM
        drawn = _framed(box.op_lines, right, place.y, COLOURS["op"], 13) + drawn
    title = " ".join([box.kind, *box.lines])
    return f"<g><title>{escaped(title)}</title>{drawn}</g>"


def _framed(
    lines: list[str], right: int, y: float, colours: tuple[str, str, float], radius: int,
    has_name: bool = False,
) -> str:  # fmt: skip
    """Return lines of text in a rounded rectangle."""
    width, height = _room(lines), _height(lines)
    left, top = right - width, y - height // 2
    fill, stroke, border = colours
    drawn = (
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="{radius}" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{border}"/>'
    )
    for i, line in enumerate(lines):
        bold = ' font-weight="bold"' if has_name and not i else ""
        base = top + PADDING // 2 + LINE * i + 12
        drawn += f'<text x="{left + width // 2}" y="{base}"{bold}>{escaped(line)}</text>'
    return drawn


def _width(box: Box) -> int:
    """Return the width of a box with its op."""
    return _room(box.lines) + (_room(box.op_lines) + STEM if box.op else 0)


def _room(lines: list[str]) -> int:
    """Return the width of lines of text in their frame; Chinese characters, say, are wide."""
    longest = max(sum(1 + (east_asian_width(c) in "WF") for c in line) for line in lines)
    return 2 * round((CHARACTER * longest) / 2 + PADDING)


def _height(lines: list[str]) -> int:
    """Return the height of lines of text in their frame."""
    return LINE * len(lines) + PADDING
