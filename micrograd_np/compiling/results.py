"""Results: what a run returned, described for programs that return the same, and handed over."""

from typing import Any

from ..tensor import Tensor
from .nesting import arrays_in
from .recording import Recorder
from .traced import Traced, TracedNumber, TracedScalar, plain


def described(value: Any, recorder: Recorder) -> Any:
    """Describe what a run returned: its kind, and arrays or parts."""
    recorder.check(arrays_in(getattr(value, "_data", value)))
    if isinstance(value, Tensor) and isinstance(value._data, Traced):
        return "tensor", recorder.placed(plain(value._data))
    for kind, name in ((TracedNumber, "number"), (TracedScalar, "scalar"), (Traced, "array")):
        if isinstance(value, kind):
            return name, recorder.placed(plain(value))
    if value.__class__ in (tuple, list):
        return value.__class__.__name__, [described(item, recorder) for item in value]
    if value.__class__ is dict:
        return "dict", {key: described(item, recorder) for key, item in value.items()}
    if not (value is None or isinstance(value, (bool, int, str, Tensor))):
        recorder.cannot(f"it returns {type(value).__name__}, which no recorder has seen")
    return "same", value


def handed_over(value: Any) -> Any:
    """Return what a run returned, in memory of its own."""
    if isinstance(value, Tensor):
        if isinstance(value._data, Traced):
            value._data = plain(value._data).copy("K")
            value._data.setflags(write=False)
        return value
    if isinstance(value, TracedNumber):
        return plain(value).item()
    if isinstance(value, TracedScalar):
        return plain(value)[()]
    if isinstance(value, Traced):
        return plain(value).copy("K")
    if hasattr(value, "_fields"):
        return type(value)(*map(handed_over, value))
    if value.__class__ in (tuple, list):
        return value.__class__(map(handed_over, value))
    if value.__class__ is dict:
        return {key: handed_over(item) for key, item in value.items()}
    return value


def without_graph(value: Any, reason: str) -> Any:
    """Return results as a program returns them: values of ops without the graph behind them."""
    if reason:
        return value
    if isinstance(value, Tensor):
        return value if value.is_leaf else value.detach()
    if value.__class__ in (tuple, list):
        return value.__class__(without_graph(item, reason) for item in value)
    if value.__class__ is dict:
        return {key: without_graph(item, reason) for key, item in value.items()}
    return value
