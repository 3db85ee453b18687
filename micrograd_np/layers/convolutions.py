"""Convolutions, pooling and Flatten: layers for sequences and images, channels before lengths."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import initializers, ops
from ..checks import at_least_one
from ..ops.convolutions import pool_settings, window_settings
from ..tensor import Tensor, apply
from .layer import Layer, parameter

PerAxis = int | tuple[int, ...]


class _Convolution(Layer):
    """What `Conv1d` and `Conv2d` share."""

    _axes: int
    _op: Callable[..., Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: PerAxis | str = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = False,
        *,
        weight_init: initializers.Initializer = initializers.lecun_uniform,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        at_least_one(in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                "groups must divide in_channels and out_channels; received "
                f"{groups}, {in_channels} and {out_channels}"
            )
        kernel, *_ = window_settings(self._axes, kernel_size, stride, padding, dilation)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        shape = (out_channels, in_channels // groups, *kernel)
        self.weight = parameter(initializers.draw(weight_init, shape, rng), dtype)
        self.bias = parameter(np.zeros(out_channels), dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        arrays = (self.weight,) if self.bias is None else (self.weight, self.bias)
        return apply(
            type(self)._op, x, *arrays, stride=self.stride, padding=self.padding,
            dilation=self.dilation, groups=self.groups,
        )  # fmt: skip


class Conv1d(_Convolution):
    r"""Convolution along one axis: the same few weights at every place of a sequence.

    .. math::
        y_{o, i} = b_o + \sum_{c, p} W_{o, c, p} \, x_{c, \, i \cdot stride + p \cdot dilation}

    Parameters
    ----------
    in_channels, out_channels
        Numbers of channels of the input and of the output, at least 1.
    kernel_size, stride, dilation
        Length of the kernel, step from place to place, and distance of the kernel's entries.
    padding
        Zeros before and behind; "valid" for none, "same" to keep the length (with stride 1).
    groups
        Into how many groups the channels are divided, each seen by its share of the outputs alone.
    bias
        Whether to add a bias for each output channel, which starts at zero.
    weight_init, rng, dtype
        As for `Linear`; the fan-in is in_channels / groups * kernel_size.

    Attributes
    ----------
    weight : Tensor
        W, of shape (out_channels, in_channels / groups, kernel_size).
    bias : Tensor or None
        b, of shape (out_channels,).

    Notes
    -----
    Input of shape (batch, in_channels, n) or (in_channels, n) gives output of shape (batch,
    out_channels, m) or (out_channels, m), with
    m = floor((n + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    Raises
    ------
    ValueError
        If a size is below 1, groups do not divide the channels, or the input has another number of
        channels or axes or is shorter than the kernel.

    References
    ----------
    LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition" (1989).
    """

    _axes = 1
    _op = ops.conv1d


class Conv2d(_Convolution):
    r"""Convolution along two axes: the same few weights at every place of an image.

    .. math::
        y_{o, i, j} = b_o + \sum_{c, p, q} W_{o, c, p, q} \,
        x_{c, \, i \cdot stride + p \cdot dilation, \, j \cdot stride + q \cdot dilation}

    Parameters
    ----------
    in_channels, out_channels
        Numbers of channels of the input and of the output, at least 1.
    kernel_size, stride, dilation
        Lengths of the kernel, steps from place to place, and distances of the kernel's entries: one
        number for both axes or a pair.
    padding
        Zeros on every side, a number or a pair; "valid" for none, "same" to keep height and width
        (with stride 1).
    groups
        Into how many groups the channels are divided, each seen by its share of the outputs alone.
    bias
        Whether to add a bias for each output channel, which starts at zero.
    weight_init, rng, dtype
        As for `Linear`; the fan-in is in_channels / groups times the size of the kernel.

    Attributes
    ----------
    weight : Tensor
        W, of shape (out_channels, in_channels / groups, kernel height, kernel width).
    bias : Tensor or None
        b, of shape (out_channels,).

    Notes
    -----
    Input of shape (batch, in_channels, height, width), or without the batch, gives output with
    out_channels and, for each of height and width,
    floor((n + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    Raises
    ------
    ValueError
        If a size is below 1, groups do not divide the channels, or the input has another number of
        channels or axes or is smaller than the kernel.

    References
    ----------
    LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition" (1989).
    """

    _axes = 2
    _op = ops.conv2d


class _Pooling(Layer):
    """What `MaxPool2d` and `AvgPool2d` share."""

    _op: Callable[..., Any]

    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0
    ) -> None:
        pool_settings(kernel_size, stride, padding)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return apply(
            type(self)._op, x, kernel_size=self.kernel_size, stride=self.stride,
            padding=self.padding,
        )  # fmt: skip


class MaxPool2d(_Pooling):
    """Largest entry in each window of an image.

    Parameters
    ----------
    kernel_size
        Height and width of the window: one number or a pair.
    stride
        Steps of the window, by default its size.
    padding
        Entries of -inf around the image, at most half of the window.

    Notes
    -----
    Input of shape (batch, channels, height, width), or without the batch, gives output of the same
    channels with floor((n + 2 padding - kernel_size) / stride) + 1 for each of height and width.
    Where several entries are largest the gradient goes to the first, as in PyTorch.

    Raises
    ------
    ValueError
        If a size is below 1, the padding exceeds half of the window, or the window the image.

    References
    ----------
    Zhou and Chellappa, "Computation of Optical Flow Using a Neural Network" (1988).
    """

    _op = ops.max_pool2d


class AvgPool2d(_Pooling):
    """Mean of each window of an image.

    Parameters
    ----------
    kernel_size
        Height and width of the window: one number or a pair.
    stride
        Steps of the window, by default its size.
    padding
        Zeros around the image, at most half of the window; they count in the mean.

    Notes
    -----
    Input of shape (batch, channels, height, width), or without the batch, gives output of the same
    channels with floor((n + 2 padding - kernel_size) / stride) + 1 for each of height and width.

    Raises
    ------
    ValueError
        If a size is below 1, the padding exceeds half of the window, or the window the image.

    References
    ----------
    LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition" (1989).
    """

    _op = ops.avg_pool2d


class Flatten(Layer):
    """Join axes into one, by default all but the batch.

    Parameters
    ----------
    start_dim, end_dim
        First and last axis to be joined.

    Notes
    -----
    Input of shape (n, a, b, ...) gives output of shape (n, a * b * ...).

    Raises
    ------
    ValueError
        If the input lacks one of the axes, or the last comes before the first.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        first, last = (d + x.ndim if d < 0 else d for d in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < x.ndim:
            raise ValueError(
                f"axes from {self.start_dim} to {self.end_dim} are to be joined; received {x.shape}"
            )
        middle = prod(x.shape[first : last + 1])
        return x.reshape(*x.shape[:first], middle, *x.shape[last + 1 :])
