"""The tape: which op made what, and the walk back along it.

A tensor that takes part in gradients has a node. A leaf's node holds its gradient; the node of
an op's value holds an edge to each argument that wants a gradient, together with the rule that
computes it. Nodes know arrays and each other, never tensors, so there are no cycles, and what no
rule needs is freed at once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias

import numpy as np

from .ops.common import Array, Result, Rule

recording: ContextVar[bool] = ContextVar("recording", default=True)
next_order = count(1).__next__
_ndarray = np.ndarray


Edges: TypeAlias = Sequence[tuple["Node", Rule]]


class Node:
    """One tensor's place on the tape.

    `order` grows with every op, so the newest node is never needed by an older one; leaves have
    order 0. `edges` is None once a walk has used and dropped them.
    """

    __slots__ = ("dtype", "edges", "grad", "op", "order", "shape")

    order: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    op: Callable[..., Result] | None  # which made the value; None for leaves
    edges: Edges | None
    grad: Array | None  # of leaves only


def leaf_node(value: Array) -> Node:
    """Make the node of a leaf that holds `value`."""
    node = Node()
    node.order = 0
    node.shape, node.dtype = value.shape, value.dtype
    node.op, node.edges, node.grad = None, (), None
    return node


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: a context manager, and with parentheses a decorator of functions.

    It holds for the current thread (and asynchronous task) alone. In a generator put it around
    ops, not around a ``yield``: the code that takes the items would run under it.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> weight = mg.Tensor([2.0], requires_grad=True)
    >>> with mg.no_grad():
    ...     print((weight * 3).requires_grad)
    False
    """
    token = recording.set(False)
    try:
        yield
    finally:
        recording.reset(token)


def walk_back(root: Node, gradient: Array, retain_graph: bool) -> None:
    """Add to the leaves below `root` their gradients, given the gradient of `root`.

    The newest pending node is next, so each is visited once, after all that it flowed into.
    Leaves change only at the end: an exception leaves them as they were.
    """
    totals: dict[Node, Array] = {}
    ours: set[Node] = set()  # whose total is an array that nobody else holds
    pending: list[tuple[int, Node]] = []
    node, g = root, gradient
    if not root.order:
        totals[root] = gradient
    while node.order:
        edges = node.edges
        if edges is None:
            raise RuntimeError(
                "backward needs the graph of this tensor, which an earlier backward has freed; "
                "pass retain_graph=True to that one, or compute the tensor anew"
            )
        if not retain_graph:
            node.edges = None
        for parent, rule in edges:
            try:
                gradient = rule(g)
            except ValueError as error:
                if type(error) is not ValueError:
                    raise
                raise ValueError(f"{rule_name(rule)}: {error}") from error
            if gradient.__class__ is not _ndarray or gradient.shape != parent.shape:
                gradient = _fitted(gradient, parent, rule)
            if gradient.dtype is not parent.dtype:
                gradient = gradient.astype(parent.dtype)
            if parent.order and len(edges) == 1 and not pending:
                break  # a link of a chain, for which nothing has to be remembered
            if parent not in totals:
                totals[parent] = gradient
                if parent.order:
                    heappush(pending, (-parent.order, parent))
                elif gradient is not g and gradient.base is None and not retain_graph:
                    ours.add(parent)  # handed over by the rule, which is not needed again
            elif parent in ours:
                np.add(totals[parent], gradient, out=totals[parent])
            else:
                totals[parent] = np.asarray(totals[parent] + gradient)
                ours.add(parent)
        if pending:
            node = heappop(pending)[1]
            g = totals.pop(node)
        else:
            node, g = parent, gradient
    while totals:  # each is freed before the next is copied
        leaf, total = totals.popitem()
        if leaf.grad is not None:
            leaf.grad = np.asarray(leaf.grad + total)
        else:
            leaf.grad = total if leaf in ours else total.copy("K")


def _fitted(gradient: Any, parent: Node, rule: Rule) -> Array:
    """Undo broadcasting: sum a gradient over the axes that its argument was repeated along."""
    array = np.asarray(gradient)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{rule_name(rule)} must return an array of numbers; received {gradient!r}")
    if array.shape == parent.shape:
        return array
    new_axes = array.ndim - len(parent.shape)
    repeated = tuple(
        i for i in range(array.ndim) if i < new_axes or parent.shape[i - new_axes] == 1
    )
    if repeated:
        array = np.add.reduce(array, axis=repeated, keepdims=True)
    if array.shape[new_axes:] != parent.shape:
        raise ValueError(
            f"{rule_name(rule)} must return a gradient of its argument's shape {parent.shape}, or "
            f"of a shape that this broadcasts to; received {np.shape(gradient)}"
        )
    return array.reshape(parent.shape)


def rule_name(rule: Rule) -> str:
    """Name a rule after the op that wrote it: a rule is a function inside it."""
    name = getattr(rule, "__qualname__", repr(rule))
    return f"the rule {name.replace('.<locals>', '')}"


def with_shapes(error: Exception, op: Callable[..., Result], inputs: Any) -> Exception:
    """Say which op and which shapes an error is about."""
    shapes = " and ".join(str(x.shape) for x in inputs)
    kind = ValueError if isinstance(error, ValueError) else IndexError
    return kind(f"{op_name(op)} of shape {shapes}: {error}")


def wrong_number(op: Callable[..., Result], result: Any, expected: int) -> Exception:
    """Say that an op did not return its value and one rule per array."""
    received = f"a {type(result).__name__}"
    if isinstance(result, tuple):
        received = f"{len(result)} values"
        if len(result) == 2:
            rules = result[1]
            is_several = isinstance(rules, (tuple, list))
            received = f"{len(rules)} rules" if is_several else f"a {type(rules).__name__} as rules"
    return TypeError(
        f"{op_name(op)} must return its value and a tuple of one rule per array; received "
        f"{received} for {expected} array{'s' * (expected != 1)}"
    )


def op_name(op: Callable[..., Result]) -> str:
    """Name an op, which may be any callable."""
    return getattr(op, "__name__", repr(op))


class _ThreadErrorState:
    """NumPy 1's floating-point error state, with the interface of NumPy 2's context variable."""

    set = staticmethod(lambda state: np.seterr(**state))
    reset = staticmethod(lambda state: np.seterr(**state))


def _find_error_state() -> tuple[Any, Any]:
    """Find where NumPy keeps what to do about 1/0 and the like, and its value for "ignore".

    NaN and inf must pass silently through ops, and np.errstate costs as much as three of them.
    Setting the context variable that lies behind it takes a sixth of that.
    """
    context, before = copy_context(), np.geterr()
    known = dict(context.items())
    context.run(np.seterr, all="ignore")
    for variable, value in context.items():
        if known.get(variable) is not value:
            return variable, value
    np.seterr(**before)
    return _ThreadErrorState, dict.fromkeys(("divide", "over", "under", "invalid"), "ignore")


error_state, silence = _find_error_state()
