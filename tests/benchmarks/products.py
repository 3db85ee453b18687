"""What stands between a compiled step and its matrix products alone.

    python -m tests.benchmarks.products [--rounds 20] [NETWORK ...]

A program that `mg.compile` made is run line by line with a look at the clock after each. The lines
are summed up by the function that they call, and the clock's own cost is taken off. Beside that,
its matrix products are run alone, of the same arrays and into others of the same shapes.
"""

import argparse
import ast
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import micrograd_np as mg
from tests.benchmarks import cnn, gpt, lstm, mlp
from tests.benchmarks.timing import TURN, libraries, our_update, printed, run, written

NETWORKS: dict[str, tuple[Callable[[], Any], str]] = {
    **{
        f"{'-'.join(map(str, widths))}, batch {batch}, {optimizer}": (
            partial(mlp.network, widths, batch),
            optimizer,
        )
        for widths, batch, optimizer in mlp.NETWORKS
    },
    "cnn": (cnn.network, "SGD"),
    "lstm": (lstm.network, "SGD"),
    "gpt": (gpt.network, "SGD"),
}
PRODUCT = "matrix products"


class Program(NamedTuple):
    """A compiled step: what it names, its calls as lines, what they call, and the step itself."""

    names: dict[str, Any]
    lines: list[str]
    kinds: list[str]
    step: Callable[[], Any]


def program_of(make: Callable[[], Any], optimizer: str) -> Program:
    """Make a step, and take another one like it apart: gradients that are held would be copied."""
    step, _ = compiled_step(make, optimizer)
    compiled, given = compiled_step(make, optimizer)
    call = compiled.func._programs[0][1].call
    cells = call.__closure__ or ()
    names = {n: c.cell_contents for n, c in zip(call.__code__.co_freevars, cells, strict=True)}
    names |= {f"x{i}": value for i, value in enumerate(given)}
    (function,) = ast.parse(compiled.func.source()).body
    tries = (node for node in ast.walk(function) if isinstance(node, ast.Try))
    (body,) = (node.body for node in tries if node.finalbody)
    lines = [ast.unparse(node) for node in body]
    return Program(names, lines, [kind(line, names) for line in lines], step)


def compiled_step(make: Callable[[], Any], optimizer: str) -> Any:
    layer, ((x, labels),) = make()
    given = mg.Tensor(x), labels
    step = partial(mg.compile(our_update(layer, optimizer)), *given)
    for _ in range(4):
        step()
    return step, given


def kind(line: str, names: dict[str, Any]) -> str:
    """Return what a line calls: a name without its number."""
    if line.startswith("if "):
        return "checks of values"
    if ".grad = " in line:
        return "gradients handed out"
    if isinstance(ast.parse(line).body[0], ast.Assign):
        return "assignments"
    call = call_in(line)
    name = ast.unparse(call.func).rstrip("0123456789").rstrip("_")
    if name not in ("dot", "matmul"):
        return name
    shape = names[ast.unparse(call.args[-1])].shape
    return PRODUCT if len(shape) > 1 and min(shape[-2:]) > 1 else "sums by products"


def call_in(line: str) -> ast.Call:
    """Return a line's innermost call: copyto takes the results of what has no out."""
    calls = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
    return calls[-1]


def function_of(names: dict[str, Any], lines: list[str], result: str = "None") -> Any:
    """Make a function of lines over names, which are as quick to read as a program's own."""
    body = "\n".join(f"        {line}" for text in lines for line in text.split("\n"))
    source = (
        f"def make({', '.join(names)}):\n    def function():\n{body}\n        return {result}\n"
    )
    space: dict[str, Any] = {}
    exec(f"{source}    return function", space)
    return space["make"](**names)


def looking(program: Program) -> Callable[[], list[float]]:
    """Make a function that does what the program does and returns the seconds of each line."""
    stamps = [f"stamp_{i}" for i in range(len(program.lines) + 1)]
    looks = [f"{stamp} = now()" for stamp in stamps]
    names = {**program.names, "now": time.perf_counter}
    both = [text for pair in zip(program.lines, looks[1:], strict=True) for text in pair]
    result = f"[{', '.join(stamps)}]"
    times = function_of(names, [looks[0], *both], result)
    empty = function_of(names, looks, result)
    cost = min(statistics.mean(j - i for i, j in pairwise(empty())) for _ in range(20))

    def look() -> list[float]:
        found = times()  # or none, where a check of values ends the program
        return [max(j - i - cost, 0) for i, j in pairwise(found)] if type(found) is list else []

    return look


def products_of(program: Program) -> Callable[[], None]:
    """Make a function of the products alone, into memory of their own, so that none grows."""
    names, lines = dict(program.names), []
    for i, (line, of) in enumerate(zip(program.lines, program.kinds, strict=True)):
        if of == PRODUCT:
            *given, out = call_in(line).args
            names[f"out_{i}"] = np.empty_like(names[ast.unparse(out)])
            texts = [*map(ast.unparse, given), f"out_{i}"]
            lines.append(f"{ast.unparse(call_in(line).func)}({', '.join(texts)})")
    function: Callable[[], None] = function_of(names, lines)
    return function


def taken_apart(name: str, program: Program, rounds: int) -> None:
    """Time a step, its products alone and its lines in turn, and print where the time goes."""
    ways = {"step": once(program.step), "alone": once(products_of(program))}
    found: dict[str, list[list[float]]] = {"step": [], "alone": [], "lines": []}
    for _ in range(rounds):
        for way, look in {**ways, "lines": looking(program)}.items():
            with np.errstate(all="ignore"):
                run(look, TURN / 2)
                run(lambda: found[way].append(look()), TURN)  # noqa: B023
    step, alone, *lines = (
        statistics.median(values)
        for calls in found.values()
        for values in zip(*filter(None, calls), strict=True)
    )
    by_kind: dict[str, list[float]] = {}
    for of, value in zip(program.kinds, lines, strict=True):
        by_kind.setdefault(of, []).append(value)
    is_large = {of: sum(values) > step / 100 for of, values in by_kind.items()}
    small = [value for of, values in by_kind.items() if not is_large[of] for value in values]
    rows = [[name, "calls", "time", "of the step", "per call"]]
    rows.append(["compiled step", *row([step], step)])
    rows.append([f"{PRODUCT} alone", *row([alone], step)])
    for of, values in sorted(by_kind.items(), key=lambda item: -sum(item[1])):
        if is_large[of]:
            rows.append([f"in the step: {of}", *row(values, step)])
    rows.append(["in the step: kinds below 1 %", *row(small or [0.0], step)])
    rows.append(["before and after: checks, result", *row([step - sum(lines)], step)])
    printed(rows)


def once(function: Callable[[], Any]) -> Callable[[], list[float]]:
    """Make a function that times one call."""

    def look() -> list[float]:
        start = time.perf_counter()
        function()
        return [time.perf_counter() - start]

    return look


def row(values: list[float], step: float) -> list[str]:
    whole = sum(values)
    count, each = len(values), whole / len(values)
    return [str(count), written(whole), f"{whole / step:.1%}", written(each)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Take compiled steps apart.")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each part")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {list(NETWORKS)}")
    arguments = parser.parse_args()
    print(libraries())
    for name in arguments.networks or NETWORKS:
        taken_apart(name, program_of(*NETWORKS[name]), arguments.rounds)


if __name__ == "__main__":
    main()
