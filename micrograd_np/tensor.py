"""Tensors: arrays that remember which op made them, so that gradients can be sent back.

`apply` runs an op on tensors and records it; every operator, method and NumPy function that a
tensor supports is one call of it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .numpy_protocol import NumPyProtocol
from .operations import plain
from .ops.common import Array, Result, as_array, number, scalar
from .tape import (
    Edges,
    Node,
    error_state,
    leaf_node,
    next_order,
    recording,
    silence,
    walk_back,
    with_shapes,
    wrong_number,
)


def as_tensor(data: Any) -> "Tensor":
    """Return `data` itself if it is a tensor, else a tensor of it that needs no gradient."""
    return data if isinstance(data, Tensor) else Tensor(data)


def apply(op: Callable[..., Result], *inputs: Any, **constants: Any) -> "Tensor":
    """Run an op on tensors and record it where a gradient is wanted.

    Parameters
    ----------
    op
        A function ``op(*arrays, **constants) -> (value, rules)`` of plain arrays. `rules` has one
        function per array: given ``g``, the gradient with respect to the value, it returns the
        gradient with respect to that array, in its shape or the shape it was broadcast to. A rule
        must not write into ``g``, the arrays or the value, and must hand over what it returns.
    *inputs
        Tensors, or anything that a tensor can be made of. Python numbers take the dtype of the
        tensors beside them, integers and booleans the float dtype beside them.
    **constants
        Passed on to `op`; no gradient reaches them.

    Returns
    -------
    Tensor
        The value, read-only. NaN and inf pass silently.

    Raises
    ------
    ValueError
        If the shapes do not fit: the message names the op and the shapes.
    TypeError
        If an input is not made of numbers, or `op` does not return one rule per array.

    Examples
    --------
    >>> import numpy as np
    >>> import micrograd_np as mg
    >>> def cube(x):
    ...     return x**3, (lambda g: g * 3 * x**2,)
    >>> x = mg.Tensor([1.0, 2.0], requires_grad=True)
    >>> mg.apply(cube, x).sum().backward()
    >>> x.grad
    array([ 3., 12.])
    """
    if len(inputs) == 2 and not constants:
        return _apply_to_two(op, inputs[0], inputs[1])
    if len(inputs) == 1:
        return _apply_to_one(op, as_tensor(inputs[0]), constants)
    inputs = _of_one_dtype(inputs)
    arrays = [x._data for x in inputs]
    token = _set_error_state(silence)
    try:
        result = op(*arrays, **constants)
    except (ValueError, IndexError) as error:
        raise with_shapes(error, op, inputs) from error
    finally:
        _reset_error_state(token)
    if result.__class__ is not tuple or len(result) != 2:
        raise wrong_number(op, result, len(inputs))
    value, rules = result
    if not isinstance(rules, (tuple, list)) or len(rules) != len(inputs):
        raise wrong_number(op, result, len(inputs))
    if any(value is array for array in arrays):
        value = value.view()
    edges = [(x._node, rule) for x, rule in zip(inputs, rules, strict=True) if x._node is not None]
    return result_of(op, value, edges)


# On small arrays Python's own steps are most of the cost. Ops of one and of two tensors, which
# are nearly all, therefore have a way of their own that makes a third fewer of them.


def _apply_to_one(op: Callable[..., Result], x: "Tensor", constants: dict[str, Any]) -> "Tensor":
    """Do what `apply` does for one tensor."""
    array = x._data
    token = _set_error_state(silence)
    try:
        result = op(array, **constants)
    except (ValueError, IndexError) as error:
        raise with_shapes(error, op, (x,)) from error
    finally:
        _reset_error_state(token)
    try:
        value, (rule,) = result
    except (TypeError, ValueError):
        raise wrong_number(op, result, 1) from None
    if result.__class__ is not tuple:  # an array of two rows, for instance
        raise wrong_number(op, result, 1)
    if value is array:
        value = value.view()  # locking the value must not lock the argument
    node = x._node
    return result_of(op, value, () if node is None else ((node, rule),))


def _apply_to_two(op: Callable[[Array, Array], Result], x: Any, y: Any) -> "Tensor":
    """Do what `apply` does for two inputs without constants."""
    if x.__class__ is not Tensor or y.__class__ is not Tensor or x._data.dtype is not y._data.dtype:
        x, y = _of_one_dtype((x, y))
    array_x, array_y = x._data, y._data
    token = _set_error_state(silence)
    try:
        result = op(array_x, array_y)
    except (ValueError, IndexError) as error:
        raise with_shapes(error, op, (x, y)) from error
    finally:
        _reset_error_state(token)
    try:
        value, (rule_x, rule_y) = result
    except (TypeError, ValueError):
        raise wrong_number(op, result, 2) from None
    if result.__class__ is not tuple:
        raise wrong_number(op, result, 2)
    if value is array_x or value is array_y:
        value = value.view()
    edges: Edges
    node_x, node_y = x._node, y._node
    if node_y is None:
        edges = () if node_x is None else ((node_x, rule_x),)
    elif node_x is None:
        edges = ((node_y, rule_y),)
    else:
        edges = ((node_x, rule_x), (node_y, rule_y))
    return result_of(op, value, edges)


def _result(op: Callable[..., Result], value: Any, edges: Edges) -> "Tensor":
    """Make a tensor of what an op returned, and record it if anything wants a gradient."""
    if value.__class__ is not _ndarray:
        value = _asarray(value)
    value.setflags(False)
    result = _new(Tensor)
    result._data = value
    dtype = value.dtype
    if edges and _is_recording() and dtype.kind == "f":
        result._node = node = _new_node(Node)
        node.order = next_order()
        node.shape = value.shape
        node.dtype = dtype
        node.op = op
        node.edges = edges
        node.grad = None
    else:
        result._node = None
        if dtype.kind not in "fiub":
            raise TypeError(f"an op must return floats, integers or booleans; received {dtype}")
    return result


# Always called by this name, so that who wants to watch ops can put a function in its place.
result_of: Callable[[Callable[..., Result], Any, Edges], "Tensor"] = _result


def _wrapped(array: Array) -> "Tensor":
    """Make a tensor that needs no gradient of an array, without looking at it."""
    tensor = _new(Tensor)
    tensor._data = array
    tensor._node = None
    return tensor


def _of_one_dtype(inputs: Sequence[Any]) -> tuple["Tensor", ...]:
    """Make tensors of what meets in an op: floats win over integers, arrays over Python numbers.

    This is NumPy 2's promotion, under NumPy 1 too, but for one thing: an integer array does not
    widen the floats beside it.
    """
    if len(inputs) == 2:  # the frequent case of a float tensor and a Python number
        x, y = inputs
        if x.__class__ is Tensor and y.__class__ in _WEAK and x.dtype.kind == "f":
            return x, _wrapped(scalar(y, x.dtype))
        if y.__class__ is Tensor and x.__class__ in _WEAK and y.dtype.kind == "f":
            return _wrapped(scalar(x, y.dtype)), y
    elif all(x.__class__ is Tensor for x in inputs) and len({x.dtype for x in inputs}) == 1:
        return tuple(inputs)
    weak = [x.__class__ in _WEAK for x in inputs]
    tensors = [None if w else as_tensor(x) for x, w in zip(inputs, weak)]
    dtypes = [x.dtype for x in tensors if x is not None]
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    numbers = [x for x, w in zip(inputs, weak) if w]
    common = np.result_type(*(floats or [*dtypes, *numbers]))
    made = [_wrapped(scalar(x, common)) if t is None else t for x, t in zip(inputs, tensors)]
    # Where NumPy would convert an integer array to the same dtype, it is left to NumPy, so that
    # an op's value equals, to the last bit, that of the same op on the arrays.
    left = common == np.float64 and all(x.ndim for x in made)
    return tuple(
        x if x.dtype == common or (left and x.dtype.kind != "f") else x.astype(common) for x in made
    )


_WEAK = (float, int, bool)


class Tensor(NumPyProtocol):
    """An array of numbers, with a gradient if wanted.

    Parameters
    ----------
    data
        Numbers: an array, nested lists, a Python number. An array is shared, not copied, unless
        `requires_grad` (training writes into parameters, never into your data) or `dtype` ask
        for a copy. Values made by ops are read-only.
    requires_grad
        Whether `backward` shall leave a gradient in `grad`. Only floats can have one.
    dtype
        A dtype of floats, integers or booleans; by default that of the data, as in NumPy.

    Raises
    ------
    TypeError
        If the data are no numbers, or integers or booleans that require a gradient.
    ValueError
        If the data are ragged.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> x = mg.Tensor([[1.0, 2.0]], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y
    Tensor(5., requires_grad=True)
    >>> y.backward()
    >>> x.grad
    array([[2., 4.]])
    """

    __slots__ = ("__weakref__", "_data", "_node")

    _data: Array
    _node: Node | None
    _apply = staticmethod(apply)
    _apply_to_one = staticmethod(_apply_to_one)
    _apply_to_two = staticmethod(_apply_to_two)
    _as_tensor = staticmethod(as_tensor)

    def __init__(
        self, data: Any, *, requires_grad: bool = False, dtype: npt.DTypeLike | None = None
    ) -> None:
        self._data = as_array(data, dtype)
        self._node = None
        if requires_grad:
            self.requires_grad = True

    # What it holds

    @property
    def data(self) -> Array:
        """The values as an ndarray: the tensor's own, read-only where an op made them."""
        return self._data

    @data.setter
    def data(self, values: Any) -> None:
        if values is self._data:  # as after tensor.data += ...
            return
        if not self.is_leaf:
            raise ValueError("the data of a value made by an op cannot be replaced; detach() first")
        array = as_array(plain(values))
        if array.shape != self.shape:
            raise ValueError(f"data must keep the shape {self.shape}; received {array.shape}")
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise TypeError(f"data must keep the dtype {self.dtype}; received {array.dtype}")
        self._data = array.astype(self.dtype)

    @property
    def grad(self) -> Array | None:
        """The gradient that `backward` left, an ndarray of the same shape; None before."""
        return None if self._node is None else self._node.grad

    @grad.setter
    def grad(self, gradient: Any) -> None:
        if gradient is None:
            if self._node is not None:
                self._node.grad = None
            return
        if self._node is None or self._node.order:
            raise ValueError("only a leaf that requires a gradient can hold one")
        gradient = as_array(plain(gradient))
        if gradient.shape != self.shape:
            raise ValueError(f"grad must have shape {self.shape}; received {gradient.shape}")
        self._node.grad = gradient.astype(self.dtype)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients reach this tensor; can be set on leaves, which then own their data."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted == self.requires_grad:
            return
        if not self.is_leaf:
            raise ValueError("requires_grad of a value made by an op is fixed; detach() it first")
        if self._data.dtype.kind != "f":
            raise TypeError(
                f"only floats can require a gradient; received dtype {self.dtype}, pass "
                "dtype=float or make the data floats"
            )
        self._node = None
        if wanted:  # an array of its own, in native byte order: training writes into it
            self._data = self._data.astype(self._data.dtype.type, order="C")
            self._node = leaf_node(self._data)

    def _convert(self, dtype: npt.DTypeLike) -> None:
        """Convert a leaf in place: values, gradient, and the gradients still to come."""
        self._data = self._data.astype(dtype)
        if self._node is not None:
            self._node.dtype = self._data.dtype
            self._node.grad = None if self._node.grad is None else self._node.grad.astype(dtype)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made this tensor."""
        return self._node is None or self._node.order == 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of the entries."""
        return self._data.dtype

    @property
    def T(self) -> "Tensor":
        """The tensor with its axes reversed."""
        return self.transpose()

    def item(self) -> Any:
        """Return the one entry as a Python number; ValueError if there are more, or none."""
        if self.size != 1:
            raise ValueError(f"only a tensor of one entry is a number; received shape {self.shape}")
        return self._data.item()

    def numpy(self) -> Array:
        """Return a copy of the values as an ndarray."""
        return self._data.copy()

    def detach(self) -> "Tensor":
        """Return a tensor of the same values (shared, not copied) that needs no gradient."""
        return _wrapped(self._data)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a tensor without axes has no len()")
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        if self.ndim == 0:
            raise TypeError("a tensor without axes cannot be iterated over")
        return (self[i] for i in range(len(self)))

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                "only a tensor of one entry is true or false; of a comparison of others take "
                f".any() or .all(); received shape {self.shape}"
            )
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        text = repr(self._data.view(_Printed))
        return f"{text[:-1]}, requires_grad=True)" if self.requires_grad else text

    def __contains__(self, value: Any) -> bool:
        return value in self._data

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._data, self.requires_grad and self.is_leaf, self.grad)

    # Going back

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add to every leaf's `grad` the derivative of this tensor with respect to the leaf.

        Parameters
        ----------
        gradient
            The gradient of the final scalar with respect to this tensor, of the same shape. A
            tensor of one entry needs none: it is the final scalar, and its gradient is 1.
        retain_graph
            Keep the graph for another backward. By default it is freed as the walk goes along.

        Raises
        ------
        RuntimeError
            If this tensor has no history, or its graph was freed by an earlier backward.
        ValueError
            If the gradient has another shape, or is missing.
        """
        if self._node is None:
            raise RuntimeError(
                "backward needs a tensor that depends on one with requires_grad=True; this one "
                "does not, or was computed under no_grad()"
            )
        if gradient is not None:
            if gradient.__class__ is not _ndarray or gradient.dtype is not self._data.dtype:
                gradient = as_array(plain(gradient), self.dtype)
            if gradient.shape != self.shape:
                raise ValueError(
                    f"the gradient must have the tensor's shape {self.shape}; received "
                    f"{gradient.shape}"
                )
        elif self._data.size == 1:
            gradient = number(1, self._data.dtype)
            if self._data.ndim:
                gradient = gradient.reshape(self.shape)
        else:
            raise ValueError(
                "backward starts from a tensor of one entry, such as a loss; this one has shape "
                f"{self.shape}: reduce it first, for instance with sum(), or pass its gradient"
            )
        token = _set_error_state(silence)
        try:
            walk_back(self._node, gradient, retain_graph)
        finally:
            _reset_error_state(token)


_new, _new_node = Tensor.__new__, Node.__new__
_ndarray, _asarray = np.ndarray, np.asarray
_is_recording = recording.get
_set_error_state, _reset_error_state = error_state.set, error_state.reset


class _Printed(np.ndarray):
    """An array that NumPy prints as a Tensor, line breaks and all."""


_Printed.__name__ = "Tensor"


def _restore(data: Array, requires_grad: bool, grad: Array | None) -> Tensor:
    """Make a tensor again from its pickled parts."""
    tensor = Tensor(data, requires_grad=requires_grad)
    tensor.grad = grad  # which copies
    return tensor
