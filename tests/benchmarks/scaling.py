"""How time and memory grow: with the length of a graph, and with the size of a network.

    python -m tests.benchmarks.scaling [--rounds 5] [--quick] [--out FOLDER]

Prints tables, and draws them into FOLDER/scaling.png where matplotlib is installed.
"""

import argparse
import gc
import statistics
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

import micrograd_np as mg
from tests.benchmarks import mlp
from tests.benchmarks.timing import compared, libraries, optional, printed, written

Found = dict[int, dict[str, float]]  # by size and by what was measured
LENGTHS = [10, 100, 1_000, 10_000, 100_000]
LONGEST_COMPILED = 1_000
WIDTHS = [16, 32, 64, 128, 256, 512, 1024, 2048]
DEPTHS = [1, 2, 4, 8, 16, 32, 64]
BATCHES = [1, 4, 16, 64, 256, 1024, 4096]
WIDTH, DEPTH, BATCH = 64, 2, 64  # where they are not varied
TURN = 0.03
VERSIONS = ["eager", "compiled", "PyTorch", "NumPy by hand"]
COLORS = {name: f"C{i}" for i, name in enumerate([*VERSIONS, "forward", "backward"])}
COLORS |= {"compiled, both": COLORS["compiled"], "held": COLORS["eager"]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how time and memory grow.")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each version")
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    parser.add_argument("--out", type=Path, help="folder for the picture")
    asked = parser.parse_args()
    print(libraries())
    step = 3 if asked.quick else 1
    lengths = LENGTHS[:3] if asked.quick else LENGTHS
    chains = {length: of_a_chain(length, asked.rounds) for length in lengths}
    tabulated("ops in a chain", chains, "per op")
    sizes = {
        "width": of_networks(
            {n: ((n,) * (DEPTH + 1), BATCH) for n in WIDTHS[::step]}, asked.rounds
        ),
        "depth": of_networks(
            {n: ((WIDTH,) * (n + 1), BATCH) for n in DEPTHS[::step]}, asked.rounds
        ),
        "batch": of_networks(
            {n: ((WIDTH,) * (DEPTH + 1), n) for n in BATCHES[::step]}, asked.rounds
        ),
    }
    for name, found in sizes.items():
        tabulated(name, found, "per update")
    if asked.out and (pyplot := optional("matplotlib.pyplot")):
        asked.out.mkdir(parents=True, exist_ok=True)
        drawn(pyplot, chains, sizes).savefig(asked.out / "scaling.png", dpi=150)
        print(f"drawn: {asked.out / 'scaling.png'}")


# Chains of ops


def of_a_chain(length: int, rounds: int) -> dict[str, float]:
    """Return seconds and bytes per op of y * x * x * ..., with 8 entries."""
    found = in_time(length, rounds) | in_memory(length)
    if length <= LONGEST_COMPILED:
        found |= when_compiled(length, rounds)
    return {name: value / length for name, value in found.items()}


def chain(x: mg.Tensor, length: int) -> Any:
    y: Any = x
    for _ in range(length):
        y = y * x
    return y.sum()


def ones() -> mg.Tensor:
    return mg.Tensor(np.ones(8), requires_grad=True)


def in_time(length: int, rounds: int) -> dict[str, float]:
    """Time a chain, repeated until there are a thousand ops; without looking for garbage."""
    repeats = max(1, 1_000 // length)
    forward, backward = [], []
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            x = ones()
            start = time.perf_counter()
            results = [chain(x, length) for _ in range(repeats)]
            between = time.perf_counter()
            for result in results:
                result.backward()
            forward.append((between - start) / repeats)
            backward.append((time.perf_counter() - between) / repeats)
            del results
    finally:
        gc.enable()
    return {"forward": statistics.median(forward), "backward": statistics.median(backward)}


def in_memory(length: int) -> dict[str, float]:
    """Measure what a chain holds, and how much more than that the way back takes at most."""
    x = ones()
    tracemalloc.start()
    result = chain(x, length)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    result.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"held": held, "more in backward": max(peak - held, 0)}


def when_compiled(length: int, rounds: int) -> dict[str, float]:
    """Time the making of a program of forward and backward, and the program itself."""
    x = ones()

    @mg.compile
    def step() -> Any:
        x.grad = None
        result = chain(x, length)
        result.backward()
        return result

    start = time.perf_counter()
    for _ in range(3):
        step()
    made = time.perf_counter() - start
    times = []
    for _ in range(max(rounds, 3)):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"compiled, both": statistics.median(times), "compiling": made}


# Networks


def of_networks(networks: dict[int, tuple[tuple[int, ...], int]], rounds: int) -> Found:
    """Return the seconds per update of networks, by size and version."""
    names = [name for name in mlp.versions() if name in VERSIONS]
    return {
        size: compared(
            {name: mlp.step_of(name, *mlp.network(*network)) for name in names}, rounds, TURN
        )
        for size, network in networks.items()
    }


# Tables and pictures


def tabulated(title: str, found: Found, of: str) -> None:
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    rows = [[title, *(f"{name}, {of}" for name in names)]]
    for size, values in found.items():
        rows.append([f"{size:,}", *(cell(name, values.get(name)) for name in names)])
    printed(rows)


def cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f} B" if name in ("held", "more in backward") else written(value)


def drawn(pyplot: Any, chains: Found, sizes: dict[str, Found]) -> Any:
    """Draw all in one figure: networks above, chains below."""
    pyplot.switch_backend("Agg")
    figure = pyplot.figure(figsize=(13, 8), layout="constrained")
    rows = [[*["width"] * 2, *["depth"] * 2, *["batch"] * 2], [*["time"] * 3, *["memory"] * 3]]
    panels = figure.subplot_mosaic(rows)
    fixed = {"width": f"width {WIDTH}", "depth": f"depth {DEPTH}", "batch": f"batch {BATCH}"}
    for name, found in sizes.items():
        others = ", ".join(text for key, text in fixed.items() if key != name)
        lines(panels[name], found, VERSIONS, 1e-3)
        titled(
            panels[name],
            f"Time of an update, by {name}",
            f"{name} ({others})",
            "milliseconds",
            list(found)[::2],
        )
    lines(panels["time"], chains, ["forward", "backward", "compiled, both"], 1e-6)
    titled(
        panels["time"],
        "Time of an op, by the length of a graph",
        "ops",
        "microseconds",
        list(chains),
    )
    lines(panels["memory"], chains, ["held"], 1)
    titled(
        panels["memory"], "Memory of an op, by the length of a graph", "ops", "bytes", list(chains)
    )
    return figure


def lines(panel: Any, found: Found, names: list[str], unit: float) -> None:
    """Draw lines with their names at their ends, both axes logarithmic."""
    panel.set(xscale="log", yscale="log")
    ends = []
    for name in names:
        sizes = [size for size, values in found.items() if name in values]
        if sizes:
            values = [found[size][name] / unit for size in sizes]
            panel.plot(sizes, values, "o-", color=COLORS[name], markersize=3.5, linewidth=1.5)
            ends.append((values[-1], sizes[-1], name))
    low, high = panel.get_ylim()
    if high < 10 * low:  # what hardly changes shall look like it
        panel.set_ylim(low / 4, high * 4)
    named(panel, sorted(ends))


def named(panel: Any, ends: list[tuple[float, int, str]]) -> None:
    """Write names beside the ends of lines, one above the other where they would overlap."""
    to_panel = panel.transData + panel.transAxes.inverted()
    points = [to_panel.transform((size, value)) for value, size, _ in ends]
    heights: list[float] = []
    for _, y in points:
        heights.append(max(y, heights[-1] + 0.06) if heights else y)
    down = sum(heights) / len(heights) - sum(y for _, y in points) / len(points)
    for (x, y), height, (_, _, name) in zip(points, heights, ends, strict=True):
        panel.annotate(
            name, (x, y), (x + 0.06, height - down), "axes fraction", "axes fraction",
            color=COLORS[name], va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": COLORS[name], "linewidth": 0.6, "shrinkB": 3},
        )  # fmt: skip


def titled(panel: Any, title: str, x: str, y: str, ticks: list[int]) -> None:
    ticker = optional("matplotlib.ticker")
    panel.set_title(title, loc="left")
    panel.set(xlabel=x, ylabel=y)
    panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    low, high = panel.get_ylim()
    panel.yaxis.set_major_locator(ticker.LogLocator(subs=[1] if high > 300 * low else [1, 2, 5]))
    panel.yaxis.set_major_formatter("{x:,g}")
    panel.minorticks_off()
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
