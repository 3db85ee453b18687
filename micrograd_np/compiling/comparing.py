"""Comparing: what two runs of a function have in common must be the same in every run."""

from typing import Any

from .reaching import VALUES
from .runs import Run


class Traits:
    """What of a run is compared with the next one, without the memory that it used."""

    def __init__(self, run: Run) -> None:
        self.way = [(call.way, call.name) for call in run.recorder.calls]
        self.constants, self.reach = run.recorder.constants, run.reach
        self.arguments: dict[str, Any] = run.arguments
        own = {run.recorder.memory(array) for _, _, array in run.inputs}
        self.written = {memory for call in run.recorder.calls for memory in call.writes}
        self.outside = [held for key, held in run.recorder.found.items() if key not in own]
        kinds = {name: (type(given), copy.shape, copy.dtype) for name, given, copy in run.inputs}
        others = {
            name: (type(given), given if isinstance(given, VALUES) else id(given))
            for name, given in run.arguments.items()
            if name not in kinds
        }
        self.kind = kinds, others, list(run.had_grad.values())


def difference(first: Traits, second: Traits) -> str:
    """Say in what two runs differ that should be the same; nothing if they do not."""
    if first.way != second.way:
        return "it takes different ways from call to call"
    for (name, before), (_, after) in zip(first.constants, second.constants):
        if before != after:
            return f"a number in {name} changes from call to call, as in {before} and {after}"
    for x, y in zip(first.outside, second.outside):
        if x is y:
            continue
        is_equal = x.shape == y.shape == () and x.tobytes() == y.tobytes()
        if is_equal and id(y) not in second.written:
            continue
        if x.shape == y.shape == ():
            return f"a number changes from call to call, as in {x} and {y}"
        return f"it uses an array of shape {y.shape} that is made where no recorder sees it"
    return ""
