"""Writing: names for what a program speaks of, and calls as lines of source."""

from keyword import iskeyword
from typing import Any

import numpy as np

from ..ops.common import Array
from .nesting import owner
from .recording import Call

_IS_OLD = np.__version__ < "2"  # which looks also at values where it chooses a dtype
# What einsum calls in the end if it does not think about the order of its products.
_einsum: Any = np.einsum if _IS_OLD else vars(np)["_core"].multiarray.c_einsum


class Names:
    """Names for what the source speaks of."""

    def __init__(self, hints: dict[int, str]) -> None:
        self.values: dict[str, Any] = {}
        self._hints = hints
        self._known: dict[Any, str] = {}
        self._numbers: dict[str, int] = {}  # the last number of each hint

    def of(self, value: Any, hint: str, exactly: bool = False) -> str:
        """Return the name of a value, or the value itself if it is written as short.

        Unless it is wanted `exactly`, an equal value will do: for an array the same memory.
        """
        if value is None or value.__class__ is bool:
            return repr(value)
        if value.__class__ in (int, str) and not exactly:
            return repr(value)
        key: Any = id(value)
        if isinstance(value, np.ndarray) and not exactly:
            address = value.__array_interface__["data"][0]
            key = address, value.shape, value.strides, value.dtype.str, value.flags.writeable
            hint = self._hints.get(id(owner(value)), hint)
        if key not in self._known:
            hint = hint if hint.isidentifier() and not iskeyword(hint) else "v"
            name = hint
            number = self._numbers.get(hint, 1)
            while name in self.values:
                number += 1
                name = f"{hint}_{number}"
            self._numbers[hint] = number
            self._known[key] = name
            self.values[name] = value
        return self._known[key]


def unless(conditions: list[str], result: str) -> list[str]:
    """Write that a result is returned at once if one of some conditions is true."""
    if not conditions:
        return []
    lines = [f"        {'or ' * bool(i)}{condition}" for i, condition in enumerate(conditions)]
    return ["    if (", *lines, "    ):", f"        return {result}"]


def written(call: Call, args: Any, options: Any, results: list[Array], name: Any) -> str:
    """Write a call of NumPy."""
    function = call.function
    if isinstance(function, np.ufunc) and function.nin == len(args):
        args = _as_arrays(function, args, options)
    given = [name(x, "v") if isinstance(x, np.ndarray) else name(x, "c") for x in args]
    made = [name(x, "v") for x in results]
    settings = [f"{key}={name(value, 'c')}" for key, value in options.items()]
    if call.way == "out":
        if function is np.ndarray.dot:
            return f"{name(args[0].dot, 'dot')}({given[1]}, {made[0]})"
        if function is np.einsum and "optimize" not in options:
            function = _einsum
        called = name(function, call.name)
        if isinstance(function, np.ufunc) and function not in (np.maximum, np.minimum):
            return f"{called}({', '.join([*given, *made, *settings])})"
        if call.name.endswith("_reduce") and len(given) == 1:
            given += [name(options.pop("axis", 0), "axis"), name(options.pop("dtype", None), "c")]
            given += [made[0], name(options.pop("keepdims", False), "c")]
            settings = [f"{key}={name(value, 'c')}" for key, value in options.items()]
            return f"{called}({', '.join(given + settings)})"
        return f"{called}({', '.join([*given, *settings])}, out={made[0]})"
    if call.way in ("copy", "constant"):
        return f"copyto({', '.join([made[0], *given, *settings])})"
    text = f"{name(function, call.name)}({', '.join([*given, *settings])})"
    if call.way == "done":
        return text
    if len(made) == 1 and call.way == "unsure":
        return f"fill({made[0]}, {text})"
    if len(made) == 1:
        return f"copyto({made[0]}, {text}, 'unsafe')"
    if call.way == "unsure":
        return f"for made, value in zip(({', '.join(made)}), {text}): fill(made, value)"
    return f"for made, value in zip(({', '.join(made)}), {text}): copyto(made, value)"


def _as_arrays(ufunc: np.ufunc, args: Any, options: Any) -> Any:
    """Return arguments with arrays of the right dtype for Python numbers, which cost less."""
    if options or _IS_OLD or not any(type(x) in (int, float) for x in args):
        return args
    kinds = [x.dtype if hasattr(x, "dtype") else type(x) for x in args]
    try:
        dtypes = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
        return tuple(
            np.array(x, dtype) if type(x) in (int, float) else x for x, dtype in zip(args, dtypes)
        )
    except (TypeError, OverflowError):  # as of uint8 == -1
        return args
