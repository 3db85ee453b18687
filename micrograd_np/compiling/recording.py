"""Recording: running a function on arrays that note every NumPy call that is made of them.

The arrays are ordinary ones, so what is recorded is a real run. A call is noted with the places of
the arrays that it read and wrote: doing it again, in the same places, is the next run. Views need
no note, since they are places in the same memory. What the run no longer needs is freed as ever.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

import numpy as np

from ..ops import products
from ..ops.common import Array, number
from ..tensor import Tensor
from .functions import (
    COPYING,
    MAKERS,
    OF_SHAPES,
    PLACING,
    STEADY,
    UNSTEADY,
    VIEWS,
    WITH_OUT,
    WRITERS,
)
from .memories import Memories
from .nesting import arrays_in, mapped, owner
from .reaching import VALUES
from .traced import Traced, TracedScalar, current, function_of, stripped, traced

new_array = np.array  # which, while something is recorded, is another
Replaced: TypeAlias = list[tuple[Any, str, Any]]  # where, under which name, what stands meanwhile


class Call:
    """One noted call: `function(*args, **options)`, and where its result goes.

    `way` says how to do it again: "out" with the result as its out argument, "copy" the argument
    into the result, "into" the result copied from what it returns, "unsure" as into if that has
    the shape and dtype that it had, "made" nothing but for the memory, "constant" as copy but of
    what never changes, "done" for what it does to its arguments, "draw" as into but always, "guard"
    that the argument is true, or not, as `result` says; "step", "grad" and "held" are of optimizers
    and gradients.
    """

    __slots__ = ("args", "function", "name", "options", "reads", "result", "way", "writes")

    def __init__(
        self,
        way: str,
        function: Any,
        args: tuple[Any, ...] = (),
        options: dict[str, Any] | None = None,
        result: Any = None,
        reads: Iterable[int] = (),
        writes: Iterable[int] = (),
        name: str = "",
    ) -> None:
        self.way, self.function, self.args, self.options = way, function, args, options or {}
        self.result, self.reads, self.writes = result, set(reads), set(writes)
        self.name = (name or getattr(function, "__name__", "call")).strip("_")


_KEEPING = {number.__wrapped__.__code__, products._short_ones.__wrapped__.__code__}


_KNOWN = (*VALUES, np.ndarray, np.dtype, range, Tensor)


class Recorder(Memories):
    """What was called, and on which memory."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.constants: list[tuple[str, Any]] = []  # to be compared with those of another run

    def note(
        self, way: str, function: Any, args: Any, options: Any, result: Any, written: Any = (),
        name: str = "",
    ) -> None:  # fmt: skip
        """Note a call; `written` are arrays beside its result that it writes into."""
        read, changed = arrays_in(args, options), arrays_in(written, result)
        reads, writes = set(map(self.memory, read)), set(map(self.memory, changed))
        self.check(x for x in read if self.memory(x) not in writes)
        self.mark(changed)
        given, settings, made = self.placed([args, options, result])
        call = Call(way, function, given, settings, made, reads, writes, name)
        self.constants.append((call.name, _constants([args, options])))
        self.calls.append(call)

    def outcome(self, result: Any, note: Callable[[Any], None], name: str) -> Any:
        """Return a call's result as traced arrays, and note the call if it made any memory."""
        if isinstance(result, np.generic):
            array = self.fresh(new_array(result))
            note(array)
            return traced(array, TracedScalar)
        results = result if isinstance(result, (tuple, list)) else [result]
        if not all(isinstance(array, np.ndarray) for array in results):
            self.cannot(f"{name} gives Python objects")
            return result
        if not all(map(self.knows, results)):
            note(mapped(result, self.fresh))
        return mapped(result, traced)

    def ufunc(self, ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
        """Do and note what a ufunc does."""
        function, out = function_of(ufunc, method), options.pop("out", None)
        given, settings = stripped(inputs), stripped(options)
        list(map(self.memory, arrays_in(given, settings)))
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}_{method}"
        if method == "at":
            function(*given, **settings)
            return self.note("done", function, given, settings, None, given[0], name)
        if out is not None:
            function(*given, **settings, out=stripped(out))
            results = out if isinstance(out, tuple) else (out,)
            if any(x is None for x in results):
                self.cannot("it gives arrays for some results only")
                return _one(results)
            self.note("out", function, given, settings, _one(stripped(results)), name=name)
            if "where" in settings:  # what stays there is read
                self.calls[-1].reads |= self.calls[-1].writes
            return _one(results)
        if ufunc is np.power and not settings and all(map(_is_scalar, inputs)):
            function = _scalar_power  # which rounds otherwise than the power of arrays
        result = function(*given, **settings)
        settings.pop("order", None)  # the result has it already
        if function is _scalar_power:
            return self.outcome(
                result, lambda made: self.note("into", function, given, {}, made), "power"
            )
        return self.outcome(
            result, lambda made: self.note("out", function, given, settings, made, name=name), name
        )

    def function(self, function: Any, args: Any, options: dict[str, Any]) -> Any:
        """Do and note what one of NumPy's functions does."""
        out = options.pop("out", None)
        given, settings = stripped(args), stripped(options)
        arrays = arrays_in(given, settings)
        list(map(self.memory, arrays))
        if out is not None:
            function(*given, **settings, out=stripped(out))
            self.note("out", function, given, settings, stripped(out))
            return out
        result = function(*given, **settings)
        if function in WRITERS:
            self.note("done", function, given, settings, None, arrays[0])
        if function in WRITERS or function in OF_SHAPES:
            return result
        steady = function in STEADY or (function is np.where and len(given) == 3)
        if not steady and any(x.ndim == 0 and x.dtype.kind in "iu" for x in arrays):
            self.cannot(f"values may decide where {function.__name__} looks")
        if any(result is x for x in arrays[1:]):  # given as out
            self.note("done", function, given, settings, None, result)
        elif function not in VIEWS and any(map(self.knows, arrays_in(result))):
            self.cannot(f"values may decide what {function.__name__} gives")
        way = "out" if function in WITH_OUT and "dtype" not in settings else "into"
        return self.outcome(
            result,
            lambda made: self.note(
                way if steady or way == "out" else "unsure", function, given, settings, made
            ),
            function.__name__,
        )

    def method(self, array: Array, name: str, args: Any, options: dict[str, Any]) -> Any:
        """Do and note what a method does."""
        function, out = getattr(np.ndarray, name), options.pop("out", None)
        if name == "dot" and len(args) == 2:
            *args, out = args
        given, settings = (array, *args), stripped(options)
        arrays = arrays_in(given, settings)
        list(map(self.memory, arrays))
        if name in PLACING and len(arrays) > 1:
            self.cannot(f"values decide how {name} lays an array out")
        if out is not None:
            function(*given, **settings, out=stripped(out))
            self.note("out", function, given, settings, stripped(out))
            return traced(out)
        result = function(*given, **settings)
        if result is array and name in COPYING:  # as of astype(copy=False)
            return traced(result)
        if result is None or result is array:  # as of sort, fill and byteswap
            self.note("done", function, given, settings, None, array)
            return result if result is None else traced(result)
        if any(result is x for x in arrays[1:]):  # given as out
            self.note("done", function, given, settings, None, result)
        is_ordered = "order" in settings or any(isinstance(x, str) for x in args)
        if name in COPYING and not (is_ordered and name != "astype" and name != "copy"):
            return self.outcome(result, lambda made: self.copy(array, made), name)
        way = "out" if name == "dot" else "unsure" if name in UNSTEADY else "into"
        return self.outcome(
            result, lambda made: self.note(way, function, given, settings, made), name
        )

    def copy(self, source: Array, made: Array) -> None:
        """Note that fresh memory was filled with what other memory holds."""
        view = made.reshape(source.shape)
        if owner(view) is owner(made):
            casting = {} if source.dtype == view.dtype else {"casting": "unsafe"}
            self.note("copy", np.copyto, (source,), casting, view)
        else:  # an order of its own
            self.note("into", np.reshape, (source, made.shape), {}, made)

    def item(self, array: Array, index: Any) -> Any:
        """Take and note what is taken by an index."""
        result, places = array[self.index(index)], arrays_in(index)
        list(map(self.memory, [array, *places]))
        view = _view(array, index)

        def note(made: Array) -> None:
            if view is None:
                way = "unsure" if any(x.dtype == bool for x in places) else "into"
                self.note(way, np.ndarray.__getitem__, (array, index), {}, made)
            else:  # a scalar, of which NumPy makes a copy
                self.note("copy", np.copyto, (view,), {}, made)

        return self.outcome(result, note, "indexing")

    def index(self, index: Any) -> Any:
        """Return an index as NumPy takes it; refuse one whose integers values decide."""

        def as_integer(x: Array) -> Any:
            if x.ndim or x.dtype.kind not in "iu":
                return x
            self.cannot("values decide which part of an array it takes")
            return int(x)

        return mapped(index, as_integer)

    def set_item(self, array: Array, index: Any, value: Any) -> None:
        """Note that an index was written to."""
        view = _view(array, index)
        if view is None:
            self.note("done", np.ndarray.__setitem__, (array, index, value), {}, None, array)
        else:
            self.note("copy", np.copyto, (value,), {"casting": "unsafe"}, view)

    def guard(self, array: Array, value: bool) -> None:
        """Note that something was decided by an array's one value."""
        self.note("guard", bool, (array,), {}, None)
        self.calls[-1].result = value
        self.constants.append(("if", value))

    def make(self, function: Any, args: Any, options: dict[str, Any]) -> Any:
        """Do and note what makes an array of anything."""
        options.pop("like", None)  # arrays are plain while they are made
        given, settings, name = stripped(args), stripped(options), function.__name__
        if not _is_known([*given, *settings.values()]):
            self.cannot(f"{name} makes an array of what no recorder sees")
        sources = arrays_in(given, settings)
        list(map(self.memory, sources))
        result = function(*given, **settings)
        if self.knows(result):  # as asarray of an array
            same = [x for x in arrays_in(args) if isinstance(x, Traced) and result is stripped(x)]
            return same[0] if same else traced(result)
        is_copy, is_like = "array" in name, name.endswith("_like")
        if sources and not (is_copy or is_like or name == "full"):
            self.cannot(f"values decide what {name} makes")
        made = self.fresh(result)
        if name.startswith("empty"):
            self.note("made", function, (), {}, made)
            self.marks[self.memory(made)] = None
        elif not sources or (is_like and name != "full_like"):
            self.constants.append((name, _constants([given, settings])))
            self.note("constant", np.copyto, (self.keep(made.copy("K")),), {}, made)
        elif is_copy and len(sources) == 1 and sources[0] is given[0] and "order" not in settings:
            self.copy(sources[0], made)
        else:
            self.note("into", function, given, settings, made)
        return traced(made)


def _is_known(x: Any) -> bool:
    """Whether it can be seen what an array is made of."""
    if isinstance(x, (tuple, list)):
        return all(map(_is_known, x))
    return isinstance(x, _KNOWN) or callable(x)


def _is_scalar(x: Any) -> bool:
    return isinstance(x, TracedScalar) or not isinstance(x, np.ndarray)


def _scalar_power(x: Any, y: Any) -> Any:
    """Raise scalars to a power as Python's operator does it."""
    return (x[()] if isinstance(x, np.ndarray) else x) ** (
        y[()] if isinstance(y, np.ndarray) else y
    )


def _one(results: tuple[Any, ...]) -> Any:
    return results[0] if len(results) == 1 else results


def _view(array: Array, index: Any) -> Array | None:
    """Return the part of an array that an index names, if that is a view."""
    places = index if isinstance(index, tuple) else (index,)
    if arrays_in(places) or array.dtype.names:
        return None
    part = array[places if any(place is ... for place in places) else (*places, ...)]
    return part if owner(part) is owner(array) else None


def _constants(value: Any) -> Any:
    """Return of nested arguments what can be compared: numbers as text, arrays by their kinds."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype
    if isinstance(value, (tuple, list)):
        return [type(value).__name__, *map(_constants, value)]
    if isinstance(value, dict):
        return {key: _constants(item) for key, item in value.items()}
    return value if callable(value) else repr(value)


def _is_of_numpy(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__name__", "").startswith("numpy."))


@contextmanager
def recording(recorder: Recorder, replaced: Replaced) -> Iterator[None]:
    """Let a recorder note what is called inside, with other things in place of some names."""

    def noting(maker: Callable[..., Any]) -> Callable[..., Any]:
        def make(*args: Any, **options: Any) -> Any:
            recorder = current.get()
            caller = sys._getframe(1)
            # What is kept for later, and what NumPy makes for itself when it is imported.
            if recorder is None or caller.f_code in _KEEPING or _is_of_numpy(caller):
                return maker(*args, **options)
            return recorder.make(maker, args, options)

        return make

    changes = [(np, name, noting(getattr(np, name))) for name in MAKERS] + replaced
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    token = current.set(recorder)
    try:
        for place, name, thing in changes:
            setattr(place, name, thing)
        yield
    finally:
        for place, name, thing in before:
            setattr(place, name, thing)
        current.reset(token)
