"""The operators and methods of tensors: each runs one op."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self, TypeVar

import numpy as np
import numpy.typing as npt

from . import ops
from .ops.common import Array, Axis, Result

T = TypeVar("T", bound="Operations")
M = TypeVar("M", bound=Callable[..., Any])
_NO_CONSTANTS: dict[str, Any] = {}
_OVER_AXES = {
    "axis": "One axis, several (a tuple), or None for all.",
    "ddof": "What the number of entries is lessened by, to divide by.",
    "keepdims": "Whether the axes that were reduced stay, with length one.",
}


def _unary(op: Callable[[Array], Result]) -> Callable[[T], T]:
    """Make a method of an op of one array."""

    def method(self: T) -> T:
        return self._apply_to_one(op, self, _NO_CONSTANTS)

    method.__name__, method.__doc__ = op.__name__, op.__doc__
    return method


def _binary(op: Callable[[Array, Array], Result]) -> Callable[[T, Any], T]:
    """Make a method or an operator of an op of two arrays."""

    def method(self: T, other: Any) -> T:
        return self._apply_to_two(op, self, other)

    method.__name__ = op.__name__
    method.__doc__ = f"""{op.__doc__}

    Parameters
    ----------
    other
        y: a tensor, an array or a number; x is this tensor.
    """
    return method


def _reflected(op: Callable[[Array, Array], Result]) -> Callable[[T, Any], T]:
    """Make an operator of an op of two arrays whose first is the other operand."""

    def method(self: T, other: Any) -> T:
        return self._apply_to_two(op, other, self)

    return method


def _comparison(ufunc: np.ufunc) -> Callable[["Operations", Any], Any]:
    """Make an operator that compares values and returns an array of booleans."""

    def method(self: "Operations", other: Any) -> Any:
        try:
            return compared(ufunc, self, other)
        except TypeError:
            return NotImplemented

    return method


def compared(ufunc: np.ufunc, x: Any, y: Any) -> Any:
    """Compare the values of a tensor with others."""
    return ufunc(plain(x), plain(y))


def mask(condition: Any) -> Array:
    """Copy a condition, so that nobody changes it before the way back."""
    return np.array(condition, bool)


def _of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method of a NumPy function of the values, which returns an array without gradient."""

    def method(self: "Operations", *args: Any, **options: Any) -> Any:
        return function(self._data, *args, **options)

    method.__name__ = function.__name__
    method.__doc__ = f"""Return numpy.{function.__name__} of the values: an array, no tensor.

    Parameters
    ----------
    *args, **options
        What NumPy's function takes besides the array.
    """
    return method


def plain(x: Any) -> Any:
    """Return a tensor's array, and anything else as it is."""
    return x._data if isinstance(x, Operations) else x


def constant(x: Any) -> Any:
    """Return a tensor's array, refusing one that needs a gradient, and anything else as it is."""
    return np.asarray(x) if isinstance(x, Operations) else x


def _unpacked(lengths: tuple[Any, ...]) -> Any:
    """Let reshape(2, 3) and reshape((2, 3)) mean the same."""
    return lengths[0] if len(lengths) == 1 else lengths


def _over_axes(method: M) -> M:
    """Say in the docstring of a reduction what its arguments mean."""
    names = [name for name in inspect.signature(method).parameters if name in _OVER_AXES]
    meanings = "\n".join(f"{name}\n    {_OVER_AXES[name]}" for name in names)
    summary = inspect.cleandoc(method.__doc__ or "")
    method.__doc__ = f"{summary}\n\nParameters\n----------\n{meanings}\n"
    return method


class Operations:
    """Operators and methods; `Tensor` inherits them and says how an op is run."""

    __slots__ = ()

    _data: Array
    _apply: Callable[..., Self]
    _apply_to_one: Callable[..., Self]
    _apply_to_two: Callable[..., Self]
    _as_tensor: Callable[[Any], Self]

    # Operators

    __add__ = _binary(ops.add)
    __radd__ = _reflected(ops.add)
    __sub__ = _binary(ops.subtract)
    __rsub__ = _reflected(ops.subtract)
    __mul__ = _binary(ops.multiply)
    __rmul__ = _reflected(ops.multiply)
    __truediv__ = _binary(ops.divide)
    __rtruediv__ = _reflected(ops.divide)
    __pow__ = _binary(ops.power)
    __rpow__ = _reflected(ops.power)
    __matmul__ = _binary(ops.matmul)
    __rmatmul__ = _reflected(ops.matmul)
    __neg__ = _unary(ops.negative)
    __abs__ = _unary(ops.absolute)

    def __pos__(self) -> Self:
        return self

    __eq__ = _comparison(np.equal)
    __ne__ = _comparison(np.not_equal)
    __lt__ = _comparison(np.less)
    __le__ = _comparison(np.less_equal)
    __gt__ = _comparison(np.greater)
    __ge__ = _comparison(np.greater_equal)
    __hash__ = object.__hash__  # by identity, so that tensors can be keys

    # Elementwise

    absolute = _unary(ops.absolute)
    reciprocal = _unary(ops.reciprocal)
    square = _unary(ops.square)
    sqrt = _unary(ops.sqrt)
    exp = _unary(ops.exp)
    expm1 = _unary(ops.expm1)
    log = _unary(ops.log)
    log1p = _unary(ops.log1p)
    log2 = _unary(ops.log2)
    logaddexp = _binary(ops.logaddexp)
    sin = _unary(ops.sin)
    cos = _unary(ops.cos)
    tan = _unary(ops.tan)
    arctan = _unary(ops.arctan)
    sinh = _unary(ops.sinh)
    cosh = _unary(ops.cosh)
    tanh = _unary(ops.tanh)
    erf = _unary(ops.erf)
    sigmoid = _unary(ops.sigmoid)
    softplus = _unary(ops.softplus)
    relu = _unary(ops.relu)
    silu = _unary(ops.silu)
    sign = _unary(ops.sign)
    floor = _unary(ops.floor)
    maximum = _binary(ops.maximum)
    minimum = _binary(ops.minimum)

    def leaky_relu(self, negative_slope: float = 0.01) -> Self:
        """Keep positive entries and multiply the others by `negative_slope`.

        Parameters
        ----------
        negative_slope
            What the others are multiplied by.
        """
        return self._apply(ops.leaky_relu, self, negative_slope=negative_slope)

    def elu(self, alpha: float = 1.0) -> Self:
        """Keep positive entries x and turn the others into alpha (e**x - 1).

        Parameters
        ----------
        alpha
            How far below 0 the values go.
        """
        return self._apply(ops.elu, self, alpha=alpha)

    def gelu(self, approximate: str = "none") -> Self:
        """Multiply x by the normal distribution function: exact ("none") or by a "tanh".

        Parameters
        ----------
        approximate
            "none" or "tanh", which is faster in float64.
        """
        return self._apply(ops.gelu, self, approximate=approximate)

    def round(self, decimals: int = 0) -> Self:
        """Round to a number of decimals, halves to the even neighbour; the gradient is 0.

        Parameters
        ----------
        decimals
            How many to keep; negative numbers round before the point.
        """
        return self._apply(ops.round, self, decimals=decimals)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Limit the entries to the range from `min` to `max`, numbers or arrays (constants).

        Parameters
        ----------
        min, max
            Numbers, arrays, or None for no limit. No gradient reaches them.
        """
        return self._apply(ops.clip, self, minimum=constant(min), maximum=constant(max))

    def where(self, condition: Any, other: Any) -> Self:
        """Return this tensor's entries where `condition` holds, else those of `other`.

        Parameters
        ----------
        condition
            An array of booleans that broadcasts to the entries.
        other
            What to take elsewhere: a tensor, an array or a number.
        """
        return self._apply(ops.where, self, other, condition=mask(condition))

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Return the tensor converted to `dtype`; its gradient comes back in the old one.

        Parameters
        ----------
        dtype
            A dtype of floats, integers or booleans.
        """
        return self._apply(ops.astype, self, dtype=dtype)

    # Reductions

    @_over_axes
    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Sum over axes."""
        return self._apply(ops.sum, self, axis=axis, keepdims=keepdims)

    @_over_axes
    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Average over axes."""
        return self._apply(ops.mean, self, axis=axis, keepdims=keepdims)

    @_over_axes
    def var(self, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Self:
        """Variance over axes, with divisor n - ddof."""
        return self._apply(ops.var, self, axis=axis, ddof=ddof, keepdims=keepdims)

    @_over_axes
    def std(self, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Self:
        """Root of the variance over axes."""
        return self._apply(ops.std, self, axis=axis, ddof=ddof, keepdims=keepdims)

    @_over_axes
    def norm(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Euclidean length over axes."""
        return self._apply(ops.norm, self, axis=axis, keepdims=keepdims)

    @_over_axes
    def prod(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Product over axes."""
        return self._apply(ops.prod, self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Self:
        """Sum up to each entry along an axis; with None, of the flattened tensor.

        Parameters
        ----------
        axis
            The axis; None for the flattened tensor.
        """
        return self._apply(ops.cumsum, self, axis=axis)

    @_over_axes
    def logsumexp(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Logarithm of the sum of exponentials over axes."""
        return self._apply(ops.logsumexp, self, axis=axis, keepdims=keepdims)

    def softmax(self, axis: int = -1) -> Self:
        """Exponentials divided by their sum along an axis; NaN where all entries are -inf.

        Parameters
        ----------
        axis
            The axis along which the values sum to 1.
        """
        return self._apply(ops.softmax, self, axis=axis)

    def log_softmax(self, axis: int = -1) -> Self:
        """Logarithm of softmax along an axis; NaN where all entries are -inf.

        Parameters
        ----------
        axis
            The axis along which the exponentials sum to 1.
        """
        return self._apply(ops.log_softmax, self, axis=axis)

    argmax = _of_values(np.argmax)
    argmin = _of_values(np.argmin)
    argsort = _of_values(np.argsort)
    any = _of_values(np.any)
    all = _of_values(np.all)

    @_over_axes
    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Largest entry over axes."""
        return self._apply(ops.max, self, axis=axis, keepdims=keepdims)

    @_over_axes
    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Smallest entry over axes."""
        return self._apply(ops.min, self, axis=axis, keepdims=keepdims)

    # Shapes

    def reshape(self, *shape: Any) -> Self:
        """Return the same entries in another shape; one axis may be -1.

        Parameters
        ----------
        *shape
            Lengths of the axes, as numbers or one tuple.
        """
        return self._apply(ops.reshape, self, shape=_unpacked(shape))

    def transpose(self, *axes: Any) -> Self:
        """Permute the axes, as in NumPy; without arguments, reverse them.

        Parameters
        ----------
        *axes
            The axes in their new order, as numbers or one tuple.
        """
        return self._apply(ops.transpose, self, axes=_unpacked(axes) if axes else None)

    def ravel(self) -> Self:
        """Return the same entries, in C order, along one axis."""
        return self.reshape(-1)

    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Self:
        """Move axes to other places; the rest keep their order.

        Parameters
        ----------
        source
            The axis to move, or several.
        destination
            Where each goes.
        """
        return self._apply(ops.moveaxis, self, source=source, destination=destination)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """Exchange two axes.

        Parameters
        ----------
        axis1, axis2
            The axes.
        """
        return self._apply(ops.swapaxes, self, axis1=axis1, axis2=axis2)

    def squeeze(self, axis: Axis = None) -> Self:
        """Drop all axes of length one, or those named.

        Parameters
        ----------
        axis
            One axis, several (a tuple), or None for all of length one.
        """
        return self._apply(ops.squeeze, self, axis=axis)

    def expand_dims(self, axis: int | Sequence[int]) -> Self:
        """Insert axes of length one.

        Parameters
        ----------
        axis
            Where the new axis will be, or several places.
        """
        return self._apply(ops.expand_dims, self, axis=axis)

    def broadcast_to(self, shape: int | Sequence[int]) -> Self:
        """Repeat along new axes and axes of length one up to `shape`.

        Parameters
        ----------
        shape
            The shape to come to.
        """
        return self._apply(ops.broadcast_to, self, shape=shape)

    def concatenate(self, *others: Any, axis: int | None = 0) -> Self:
        """Join others behind this tensor along an axis; with axis None, flattened.

        Parameters
        ----------
        *others
            Tensors or arrays, of the same lengths along the other axes.
        axis
            The axis to join along; None flattens all first.
        """
        return self._apply(ops.concatenate, self, *others, axis=axis)

    def stack(self, *others: Any, axis: int = 0) -> Self:
        """Join others of the same shape behind this tensor along a new axis.

        Parameters
        ----------
        *others
            Tensors or arrays of the same shape.
        axis
            Where the new axis will be.
        """
        return self._apply(ops.stack, self, *others, axis=axis)

    def split(self, indices_or_sections: Any, axis: int = 0) -> list[Self]:
        """Cut into equal parts, or before the given indices; return the parts in a list.

        Parameters
        ----------
        indices_or_sections
            How many equal parts, or a list of the indices to cut before.
        axis
            The axis to cut.
        """
        index: list[Any] = [slice(None)] * self._data.ndim
        parts = []
        for places in np.split(self._places(axis), constant(indices_or_sections)):
            index[axis] = slice(places[0], places[-1] + 1) if places.size else slice(0)
            parts.append(self[tuple(index)])
        return parts

    def flip(self, axis: Axis = None) -> Self:
        """Reverse the order along axes.

        Parameters
        ----------
        axis
            One axis, several (a tuple), or None for all.
        """
        return self._apply(ops.flip, self, axis=axis)

    def roll(self, shift: int | Sequence[int], axis: Axis = None) -> Self:
        """Shift entries along axes, from the end back to the start; with None, flattened.

        Parameters
        ----------
        shift
            By how many places, for each axis or for all.
        axis
            One axis, several (a tuple), or None for the flattened tensor.
        """
        return self._apply(ops.roll, self, shift=shift, axis=axis)

    def pad(self, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Self:
        """Put constants around: `pad_width` of them, (before, behind), or a pair per axis.

        Parameters
        ----------
        pad_width
            A number for all sides, a pair for each axis alike, or a pair per axis.
        mode
            "constant", the only one with a rule.
        constant_values
            What to put there: a number, a pair, or a pair per axis.
        """
        if mode != "constant":
            raise ValueError(
                f'mode must be "constant", the only one with a rule; received {mode!r}'
            )
        return self._apply(ops.pad, self, pad_width=pad_width, constant_values=constant_values)

    def repeat(self, repeats: Any, axis: int | None = None) -> Self:
        """Repeat each entry along an axis, `repeats` times or as often as its number there says.

        Parameters
        ----------
        repeats
            How many times: a number, or one for each entry along the axis.
        axis
            The axis; None for the flattened tensor.
        """
        if axis is None:
            return self.ravel().repeat(repeats, 0)
        return self.take(np.repeat(self._places(axis), constant(repeats)), axis)

    def _places(self, axis: int) -> Array:
        """Count from 0 along an axis, which NumPy looks up: with its errors."""
        return np.arange(len(np.moveaxis(self._data, axis, 0)))

    def tile(self, reps: int | Sequence[int]) -> Self:
        """Lay copies side by side, `reps` of them along each axis; missing axes come first.

        Parameters
        ----------
        reps
            How many copies along each axis.
        """
        times = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
        shape = (1,) * (len(times) - self._data.ndim) + self._data.shape
        times = (1,) * (len(shape) - len(times)) + times
        copies = self.reshape([n for length in shape for n in (1, length)])
        copies = copies.broadcast_to([n for pair in zip(times, shape) for n in pair])
        return copies.reshape([n * length for n, length in zip(times, shape)])

    def tril(self, k: int = 0) -> Self:
        """Set what lies above the k-th diagonal to zero.

        Parameters
        ----------
        k
            The diagonal: 0 for the main one, above it positive, below it negative.
        """
        return self._apply(ops.tril, self, k=k)

    def triu(self, k: int = 0) -> Self:
        """Set what lies below the k-th diagonal to zero.

        Parameters
        ----------
        k
            The diagonal: 0 for the main one, above it positive, below it negative.
        """
        return self._apply(ops.triu, self, k=k)

    def take(self, indices: Any, axis: int | None = None) -> Self:
        """Take entries by index along an axis; with None, of the flattened tensor.

        Parameters
        ----------
        indices
            Integers, in any shape.
        axis
            The axis; None for the flattened tensor.
        """
        return self._apply(ops.take, self, indices=indices, axis=axis)

    def take_along_axis(self, indices: Any, axis: int | None = -1) -> Self:
        """Take entries by indices of as many axes as the tensor; with axis None, flattened.

        Parameters
        ----------
        indices
            Integers, in the tensor's shape but for the length of the axis.
        axis
            The axis; None for the flattened tensor.
        """
        if axis is None:
            return self.ravel().take_along_axis(indices, 0)
        return self._apply(ops.take_along_axis, self, indices=indices, axis=axis)

    def __getitem__(self, index: Any) -> Self:
        """Take entries by NumPy's rules: slices, integers, booleans, arrays of them."""
        return self._apply(ops.getitem, self, index=index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "tensors cannot be written into, because gradients could not follow; choose with "
            "np.where(condition, new, old), or write into the .data of a parameter"
        )

    # Products

    def dot(self, other: Any) -> Self:
        """Product as NumPy's dot: of matrices and vectors the one of `@`.

        Parameters
        ----------
        other
            A tensor, an array or a number.
        """
        axes = np.ndim(plain(other))
        if not (self._data.ndim and axes):
            return self._apply_to_two(ops.multiply, self, other)
        if self._data.ndim <= 2 and axes <= 2:
            return self._apply_to_two(ops.matmul, self, other)
        return self.tensordot(other, axes=(-1, -min(axes, 2)))

    def outer(self, other: Any) -> Self:
        """Multiply each entry with each entry of the other, both flattened.

        Parameters
        ----------
        other
            A tensor, an array or a number.
        """
        return self.reshape(-1, 1) * self._as_tensor(other).reshape(-1)

    def inner(self, other: Any) -> Self:
        """Sum products over the last axes of both.

        Parameters
        ----------
        other
            A tensor, an array or a number.
        """
        if self._data.ndim == 0 or np.ndim(plain(other)) == 0:
            return self * self._as_tensor(other)
        return self.tensordot(other, (-1, -1))

    def tensordot(self, other: Any, axes: Any = 2) -> Self:
        """Sum products over two lists of axes, or over the last `axes` and the other's first.

        Parameters
        ----------
        other
            A tensor or an array.
        axes
            How many, or a pair: the axes of this tensor, and those of the other.
        """
        return self._apply(ops.tensordot, self, other, axes=axes)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """Sum the diagonal of each matrix in two axes.

        Parameters
        ----------
        offset
            Which diagonal: 0 for the main one, above it positive, below it negative.
        axis1, axis2
            The axes of the matrices.
        """
        matrices = self.moveaxis((axis1, axis2), (-2, -1))
        n, m = matrices._data.shape[-2:]
        rows, columns = np.nonzero(np.eye(n, m, offset))
        return matrices[..., rows, columns].sum(-1)

    # Windows

    def conv1d(self, weight: Any, bias: Any = None, **settings: Any) -> Self:
        """Slide kernels along one axis; `stride`, `padding`, `dilation`, `groups` as `Conv1d`.

        Parameters
        ----------
        weight
            The kernels, of shape (out, in / groups, length).
        bias
            One number per kernel, or None.
        **settings
            Keywords: `stride`, `padding`, `dilation` and `groups`.
        """
        arrays = (weight,) if bias is None else (weight, bias)
        return self._apply(ops.conv1d, self, *arrays, **settings)

    def conv2d(self, weight: Any, bias: Any = None, **settings: Any) -> Self:
        """Slide kernels over images; `stride`, `padding`, `dilation`, `groups` as `Conv2d`.

        Parameters
        ----------
        weight
            The kernels, of shape (out, in / groups, height, width).
        bias
            One number per kernel, or None.
        **settings
            Keywords: `stride`, `padding`, `dilation` and `groups`.
        """
        arrays = (weight,) if bias is None else (weight, bias)
        return self._apply(ops.conv2d, self, *arrays, **settings)

    def max_pool2d(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Self:
        """Return the largest entry in each window of images, as `MaxPool2d`.

        Parameters
        ----------
        kernel_size
            Height and width of a window, or one number for both.
        stride
            How far apart windows are, likewise; None for the window's own size.
        padding
            How many rows and columns to put around, likewise.
        """
        return self._apply(
            ops.max_pool2d, self, kernel_size=kernel_size, stride=stride, padding=padding
        )

    def avg_pool2d(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Self:
        """Return the mean of each window of images, as `AvgPool2d`.

        Parameters
        ----------
        kernel_size
            Height and width of a window, or one number for both.
        stride
            How far apart windows are, likewise; None for the window's own size.
        padding
            How many rows and columns of zeros to put around, likewise.
        """
        return self._apply(
            ops.avg_pool2d, self, kernel_size=kernel_size, stride=stride, padding=padding
        )
