"""Programs: recorded calls as Python source, one NumPy call a line, over memory that is fixed."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..ops.common import Array
from ..tape import error_state, recording, silence
from ..tensor import Tensor
from .memories import mark_of
from .memory import Memory, needed
from .nesting import Place, arrays_in, memory_of, owner
from .reaching import VALUES, Check
from .recording import Call
from .runs import RESERVED, Run
from .steps import Step, is_plain
from .undoing import saved_before
from .writing import Names, unless, written


class Missed:
    """What a program returns that does not stand for the function."""


MISS = Missed()  # it does not fit
HELD = Missed()  # somebody holds its gradients
FAILED = Missed()  # an exception was raised in it


class Program(NamedTuple):
    """A function to call, its source, and who holds the gradients that it hands out."""

    call: Callable[..., Any]
    source: str
    size: int  # bytes of its memory
    references: Callable[[], list[int]]  # to each of the arrays handed out, now
    most: list[int]  # how many there are if nobody else holds them
    grads: list[tuple[Any, Array]]  # the nodes of leaves, and where their gradients will be

    def hand_over(self) -> None:
        """Take over the gradients of the recorded run, and all references that there will be."""
        list(map(_take_over, self.grads))  # a loop would leave a reference to the last one here
        self.most[:] = self.references()


def _take_over(grad: tuple[Any, Array]) -> None:
    node, array = grad
    np.copyto(array, node.grad)
    node.grad = array


def build(run: Run, returned: Any, copies: bool) -> Program:
    """Write a recorded run as a program.

    Parameters
    ----------
    run
        The run.
    returned
        What it returned, as described.
    copies
        Whether gradients are handed out as copies.
    """
    recorder = run.recorder
    kept = set(map(memory_of, arrays_in(_parts(returned))))
    calls, constant = needed(recorder.calls, kept | set(recorder.found))
    handed = [call for call in calls if call.way == "grad" and call.args[0] is not None]
    apart = {memory for call in handed for memory in call.reads if memory in recorder.made}
    memory = Memory(calls, recorder.made, constant, kept & recorder.made.keys(), apart)
    return _Writer(run, memory, returned, copies).program()


def _parts(returned: Any) -> Any:
    kind, value = returned
    if kind in ("tuple", "list"):
        return [_parts(item) for item in value]
    if kind == "dict":
        return [_parts(item) for item in value.values()]
    return None if kind == "same" else value


class _Writer:
    def __init__(self, run: Run, memory: Memory, returned: Any, copies: bool) -> None:
        self.run, self.memory, self.returned, self.copies = run, memory, returned, copies
        hints = {id(owner(t._data)): run.reach.hints[id(t)] for t in run.reach.tensors}
        hints |= {id(array): run.reach.hints[id(array)] for array in run.reach.arrays}
        hints |= {id(owner(copy)): f"{name}_" for name, _, copy in run.inputs}
        self.leaves = dict.fromkeys(map(id, run.nodes), "leaf")
        self.leaves |= {id(t._node): run.reach.hints[id(t)] or "leaf" for t in run.leaves}
        self.names = Names({key: hint for key, hint in hints.items() if hint})
        self.names.values |= dict.fromkeys(run.arguments)  # which are taken
        self.miss = "return MISS"
        self._grads: dict[int, Array] = {}
        self._steps: dict[Any, tuple[str, Array]] = {}  # rates of optimizers, and room for changes
        self.plain: dict[str, str] = {}  # optimizers whose steps are written out, and their groups

    def program(self) -> Program:
        name = self.names.of
        fixed = {
            "MISS": MISS, "HELD": HELD, "FAILED": FAILED, "copyto": np.copyto, "fill": _fill,
            "tensor": _tensor, "type": type, "set_errors": error_state.set, "silence": silence,
            "reset_errors": error_state.reset, "is_recording": recording.get,
            "references": sys.getrefcount, "DiffersError": _DiffersError,
        }  # fmt: skip
        self.names.values |= dict.fromkeys(RESERVED) | fixed
        before = self._saving()
        body, result = self._body(), self._result(self.returned)
        copies = [
            f"copyto({name(copy, x)}, {x}{'._data' * isinstance(given, Tensor)})"
            for x, given, copy in self.run.inputs
            if not _is_bound(given, copy)
        ]
        checks = [*self._checks(), f"is_recording() is not {recording.get()}"]
        for this, groups in self.plain.items():
            checks += [
                f"{this}.momentum",
                f"{this}.weight_decay",
                f"{this}._groups is not {groups}",
            ]
        lines = [f"def {self._head()}:", "    try:"]
        lines += [f"    {line}" for line in unless(checks, "MISS")]
        lines += ["    except (AttributeError, IndexError, KeyError, ValueError):"]
        lines += ["        return MISS"]
        handed = [] if self.copies else self._handed_out()
        lines += unless([f"{n} > most[{i}]" for i, n in enumerate(handed)], "HELD")
        lines += [*before, "    changed = False", "    token = set_errors(silence)", "    try:"]
        lines += [f"        {line}" for line in copies + body] or ["        pass"]
        lines += ["    except DiffersError:", f"        {self.miss}", "    except Exception:"]
        lines += ["        if changed: raise", f"        {self.miss.replace('MISS', 'FAILED')}"]
        lines += ["    finally:", "        reset_errors(token)", f"    return {result}"]
        return self._made("\n".join(lines), handed)

    def _body(self) -> list[str]:
        """Write the calls, and where they begin to change what others see."""
        lines, is_changing = [], False
        for call in self.memory.calls:
            if call.way in ("grad", "step") and not is_changing:
                lines.append("changed = True")
                is_changing = True
            lines += self._lines(call)
        return lines

    def _made(self, source: str, handed: list[str]) -> Program:
        given = {
            name: value
            for name, value in self.names.values.items()
            if value is not None and name not in self.run.arguments
        }
        lines = [*source.split("\n"), f"return program, lambda: [{', '.join(handed)}]"]
        whole = "\n    ".join([f"def make(most, {', '.join(given)}):", *lines])
        space: dict[str, Any] = {}
        exec(compile(whole, "<program>", "exec"), space)
        most: list[int] = []
        call, references = space["make"](most, **given)
        grads = {c.function: c.args[0] for c in self.memory.calls if c.way == "grad"}
        places = [] if self.copies else [(n, g) for n, g in grads.items() if isinstance(g, Place)]
        moved = [(node, self._grad(place)) for node, place in places]
        return Program(call, source, self.memory.size(), references, most, moved)

    def _head(self) -> str:
        names = list(self.run.arguments)
        positional, named = names[: self.run.arity], names[self.run.arity :]
        return f"program({', '.join([*positional, *['*'] * bool(named), *named])})"

    def _handed_out(self) -> list[str]:
        """Write how many hold each gradient that is handed out, or a view of it."""
        found, name = [], self.names.of
        for call in self.memory.calls:
            if call.way == "grad" and call.args[0] is not None:
                array, leaf = self._grad(call.args[0]), self._leaf(call.function)
                hint = f"{self.leaves[id(call.function)]}_grad"
                grad = name(array, hint, exactly=True)
                memory = name(owner(array), f"{hint}_memory", exactly=True)
                found.append(f"references({grad}) - ({leaf}.grad is {grad})")
                found.append(f"references({memory})")
        return found

    def _leaf(self, node: Any) -> str:
        return self.names.of(node, f"{self.leaves[id(node)]}_leaf")

    def _grad(self, grad: Array | Place) -> Array:
        """Return a gradient in its place: always the same object, which is handed out."""
        if id(grad) not in self._grads:
            self._grads[id(grad)] = self.memory.moved(grad)
        return self._grads[id(grad)]

    # What must hold

    def _checks(self) -> list[str]:
        """Write what must not be, if the program shall stand for the function."""
        texts, name = [], self.names.of
        arrays = {x for x, *_ in self.run.inputs}
        for x, given, copy in self.run.inputs:
            is_tensor = isinstance(given, Tensor)
            if _is_bound(given, copy):
                texts.append(f"{x} is not {name(given, 'thing', exactly=True)}")
                if is_tensor:
                    texts.append(f"{x}._data is not {name(copy, 'thing', exactly=True)}")
                continue
            texts.append(f"type({x}) is not {name(type(given), 'kind')}")
            texts += [f"{x}._node is not None"] * is_tensor
            data = f"{x}._data" if is_tensor else x
            texts.append(f"{data}.shape != {name(copy.shape, 'shape')}")
            texts.append(f"{data}.dtype is not {name(copy.dtype, 'dtype')}")
        for x, given in self.run.arguments.items():
            if x not in arrays:
                texts.append(self._differs(x, given))
        mark = self.names.of(mark_of, "mark")
        texts += [
            f"{mark}({self.names.of(array, 'array', exactly=True)}) != {before}"
            for array, before in self.run.unseen
        ]
        texts += [self._check(check) for check in self.run.reach.checks]
        for node in self.run.nodes:
            had_grad = self.run.had_grad[id(node)]
            texts.append(f"{self._leaf(node)}.grad is {'not ' * (not had_grad)}None")
        return texts

    def _check(self, check: Check) -> str:
        place = self.names.of(
            check.place, {"cell": "cell", "data": "t", "node": "t"}.get(check.way, "held")
        )
        if check.way == "len":
            return f"len({place}) != {check.value}"
        now = {
            "attribute": f"{place}.{check.key}",
            "cell": f"{place}.cell_contents", "data": f"{place}._data", "node": f"{place}._node"
        }  # fmt: skip
        is_plain_key = type(check.key) in (str, int, type(None))
        key = repr(check.key) if is_plain_key else self.names.of(check.key, "key")
        return self._differs(now.get(check.way, f"{place}[{key}]"), check.value)

    def _differs(self, now: str, value: Any) -> str:
        name = self.names.of
        if value is None or isinstance(value, bool) or not isinstance(value, VALUES):
            return f"{now} is not {name(value, 'thing', exactly=True)}"
        hint = f"n{value}" if isinstance(value, int) else "number"
        same = name(value, hint, exactly=True)
        kind = name(type(value), "kind")
        is_other = f"{now} != {same} or type({now}) is not {kind}"
        if value == 0 or value != value:  # of which there are several that are equal, or none
            is_other = f"repr({now}) != {repr(value)!r}"
        return f"({now} is not {same} and ({is_other}))"

    # What has to be undone when it turns out within the program that it does not fit

    def _saving(self) -> list[str]:
        """Write what to save for that, and set how to miss then."""
        saved = saved_before(self.run, self.memory)
        if saved is None:
            return []
        self.miss = f"return {self.names.of(saved.undo, 'undo')}(MISS)"
        return [f"    {self.names.of(saved.save, 'save')}()"]

    # The calls

    def _lines(self, call: Call) -> list[str]:
        moved, name = self.memory.moved, self.names.of
        if call.way == "grad":
            node, (array,) = self._leaf(call.function), call.args
            if array is None:
                return [f"{node}.grad = None"]
            hint = f"{self.leaves[id(call.function)]}_grad"
            text = name(self._grad(array), hint, exactly=True)
            return [f"{node}.grad = {text}{'.copy()' * self.copies}"]
        if call.way == "held":
            held = name(moved(call.result), "grad_before")
            return [f"copyto({held}, {self._leaf(call.function)}.grad)"]
        if call.way == "step":
            return self._step(call)
        args, options = moved(call.args), moved(call.options)
        if call.way == "guard":
            return [f"if {'not ' * call.result}{name(args[0], 'v')}: {self.miss}"]
        results = arrays_in(moved(call.result))
        text = written(call, args, options, results, name)
        shapes = ", ".join(f"{x.shape} {x.dtype}" for x in results)
        return [f"{text}  # {shapes}" if shapes else text]

    def _step(self, call: Call) -> list[str]:
        """Write an optimizer's step, that of plain gradient descent as the calls that it makes."""
        optimizer, name = call.function, self.names.of
        grads = self.memory.moved(call.args)
        if not is_plain(optimizer):
            return [f"{name(Step(optimizer, grads), 'optimizer_step')}()"]
        this, lines = name(optimizer, "optimizer"), []
        self.plain[this] = name(optimizer._groups, "groups")
        pairs = [(p._data, g) for p, g in zip(optimizer.parameters, grads) if g is not None]
        for dtype in dict.fromkeys(data.dtype for data, _ in pairs):
            alike = [pair for pair in pairs if pair[0].dtype == dtype]
            most = max(data.size for data, _ in alike)
            rate, room = self._steps.get((this, dtype), ("", np.empty(0, dtype)))
            if not rate:  # which does not change within a call
                rate = name(np.zeros((), dtype), "lr")
                lines.append(f"{rate}[()] = {this}._lr")
            room = room if room.size >= most else np.empty(most, dtype)  # for one at a time
            self._steps[this, dtype] = rate, room
            for data, g in alike:
                x, change = name(data, "v"), name(room[: data.size].reshape(data.shape), "change")
                slope = name(g, "grad") if isinstance(g, np.ndarray) else f"{self._leaf(g)}.grad"
                lines.append(f"{name(np.multiply, 'multiply')}({slope}, {rate}, {change})")
                lines.append(f"{name(np.subtract, 'subtract')}({x}, {change}, {x})")
        return lines

    def _result(self, returned: Any) -> str:
        """Write what the program returns."""
        kind, value = returned
        if kind == "dict":
            pairs = [f"{self.names.of(k, 'key')}: {self._result(v)}" for k, v in value.items()]
            return "{" + ", ".join(pairs) + "}"
        if kind in ("tuple", "list"):
            items = ", ".join(map(self._result, value))
            return f"[{items}]" if kind == "list" else f"({items}{',' * bool(value)})"
        if kind == "same":
            return self.names.of(value, "same")
        name = self.names.of(self.memory.moved(value), "result")
        ways = {
            "tensor": f"tensor({name})",
            "array": f"{name}.copy('K')",
            "number": f"{name}.item()",
        }
        return ways.get(kind, f"{name}[()]")


class _DiffersError(Exception):
    """The shape or dtype of an array is not what it was."""


def _fill(made: Array, value: Any) -> None:
    """Take over what a call gives if it is what it was."""
    if np.shape(value) != made.shape or value.dtype != made.dtype:
        raise _DiffersError
    np.copyto(made, value)


def _is_bound(given: Any, copy: Array) -> bool:
    """Whether an argument is read where it lies."""
    return copy is (given._data if isinstance(given, Tensor) else given)


def _tensor(array: Array) -> Tensor:
    made = Tensor.__new__(Tensor)
    made._data = array.copy("K")
    made._data.setflags(write=False)
    made._node = None
    return made
