"""Normalizations: layers that bring what passes through to mean 0 and variance 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import initializers, ops
from ..checks import at_least_one, at_least_zero
from ..ops.normalizations import moments
from ..tensor import Tensor, apply
from .layer import Layer, parameter

_ONES = initializers.constant(1)


class _BatchNorm(Layer):
    """What `BatchNorm1d` and `BatchNorm2d` share."""

    _axes: tuple[int, ...]
    weight: Any
    bias: Any
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        weight_init: initializers.Initializer = _ONES,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        at_least_one(num_features=num_features)
        self.num_features = num_features
        self.eps = at_least_zero("eps", eps)
        self.momentum = momentum if momentum is None else at_least_zero("momentum", momentum)
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape = (num_features,)
        self.weight = self.bias = None
        if affine:
            self.weight = parameter(initializers.draw(weight_init, shape, rng), dtype)
            self.bias = parameter(np.zeros(shape), dtype)
        self.running_mean = self.running_var = self.num_batches_tracked = None
        if track_running_stats:
            self.running_mean = np.zeros(shape, dtype or np.float64)
            self.running_var = np.ones(shape, dtype or np.float64)
            self.num_batches_tracked = np.array(0)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self._axes or x.shape[1] != self.num_features:
            raise ValueError(
                f"takes inputs of {' or '.join(map(str, self._axes))} axes with "
                f"{self.num_features} channels on axis 1; received shape {x.shape}"
            )
        with np.errstate(all="ignore"):  # NaN and inf pass silently, as through ops
            return self._normalized(x)

    def _normalized(self, x: Tensor) -> Tensor:
        arrays = (self.weight, self.bias) if self.affine else ()
        fixed = self.track_running_stats and not self.training
        if fixed:
            mean, variance = self.running_mean, self.running_var
        else:
            count = x.size // self.num_features
            if count < 2 and self.training:
                raise ValueError(
                    "training needs more than one value per channel to estimate its variance; "
                    f"received shape {x.shape}: use larger batches, or eval()"
                )
            mean, variance = moments(x.data)
        y = apply(
            ops.batch_norm, x, *arrays, mean=mean, variance=variance, eps=self.eps, fixed=fixed
        )
        if self.track_running_stats and self.training:
            self.num_batches_tracked += 1
            momentum: Any = self.momentum
            if momentum is None:
                momentum = np.divide(1, self.num_batches_tracked, dtype=mean.dtype)
            self.running_mean += (mean - self.running_mean) * momentum
            self.running_var += (variance * (count / (count - 1)) - self.running_var) * momentum
        return y


class BatchNorm1d(_BatchNorm):
    r"""Normalize each feature over the batch.

    .. math:: y = (x - mean) / \sqrt{var + eps} \cdot weight + bias

    In training mode mean and (biased) variance are those of the batch, for each channel; in
    evaluation mode they are the running averages of what training saw.

    Parameters
    ----------
    num_features
        Number of channels, axis 1 of the input.
    eps
        Added to the variance.
    momentum
        Share of a new batch in the running averages; None for the plain mean over all batches.
    affine
        Whether to scale and shift afterwards.
    track_running_stats
        Whether to keep running averages; without them the batch's own statistics are always used.
    weight_init, rng, dtype
        As for `Linear`; weights start at one, biases at zero.

    Attributes
    ----------
    weight, bias : Tensor
        Of shape (num_features,), if `affine`.
    running_mean, running_var, num_batches_tracked : ndarray
        State; the running variance is the unbiased one.

    Notes
    -----
    Input and output have the same shape: (batch, num_features) or (batch, num_features, n).

    Raises
    ------
    ValueError
        If the input has another shape, or in training one value per channel only. The running
        averages stay as they were then.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift" (2015).
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    r"""Normalize each channel of images over the batch and its pixels.

    .. math:: y = (x - mean) / \sqrt{var + eps} \cdot weight + bias

    In training mode mean and (biased) variance are those of the batch, for each channel; in
    evaluation mode they are the running averages of what training saw.

    Parameters
    ----------
    num_features
        Number of channels, axis 1 of the input.
    eps
        Added to the variance.
    momentum
        Share of a new batch in the running averages; None for the plain mean over all batches.
    affine
        Whether to scale and shift afterwards.
    track_running_stats
        Whether to keep running averages; without them the batch's own statistics are always used.
    weight_init, rng, dtype
        As for `Linear`; weights start at one, biases at zero.

    Attributes
    ----------
    weight, bias : Tensor
        Of shape (num_features,), if `affine`.
    running_mean, running_var, num_batches_tracked : ndarray
        State; the running variance is the unbiased one.

    Notes
    -----
    Input and output have the same shape: (batch, num_features, height, width).

    Raises
    ------
    ValueError
        If the input has another shape, or in training one value per channel only. The running
        averages stay as they were then.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift" (2015).
    """

    _axes = (4,)


class LayerNorm(Layer):
    r"""Normalize each sample over its last axes.

    .. math:: y = (x - mean) / \sqrt{var + eps} \cdot weight + bias

    with the mean and the (biased) variance of each sample.

    Parameters
    ----------
    normalized_shape
        Lengths of the last axes of the input, over which is averaged: one number or several.
    eps
        Added to the variance.
    elementwise_affine
        Whether to scale (and shift) afterwards.
    bias
        Whether to shift, too.
    weight_init, rng, dtype
        As for `Linear`; weights start at one, biases at zero.

    Attributes
    ----------
    weight, bias : Tensor or None
        Of shape `normalized_shape`.

    Notes
    -----
    Input and output have the same shape, ``(..., *normalized_shape)``.

    Raises
    ------
    ValueError
        If a length is below 1, or the input's last axes have other lengths.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization" (2016).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        weight_init: initializers.Initializer = _ONES,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        self.eps = at_least_zero("eps", eps)
        self.elementwise_affine = elementwise_affine
        self.weight = self.bias = None
        if elementwise_affine:
            weight = initializers.draw(weight_init, self.normalized_shape, rng)
            self.weight = parameter(weight, dtype)
            if bias:
                self.bias = parameter(np.zeros(self.normalized_shape), dtype)

    def forward(self, x: Tensor) -> Tensor:
        arrays = [array for array in (self.weight, self.bias) if array is not None]
        return apply(ops.layer_norm, x, *arrays, shape=self.normalized_shape, eps=self.eps)


class RMSNorm(Layer):
    r"""Divide each sample by its root mean square over the last axes.

    .. math:: y = x / \sqrt{mean(x^2) + eps} \cdot weight

    Parameters
    ----------
    normalized_shape
        Lengths of the last axes of the input, over which is averaged: one number or several.
    eps
        Added to the mean square; None for the machine epsilon of the input's dtype.
    elementwise_affine
        Whether to scale afterwards.
    weight_init, rng, dtype
        As for `Linear`; weights start at one.

    Attributes
    ----------
    weight : Tensor or None
        Of shape `normalized_shape`.

    Notes
    -----
    Input and output have the same shape, ``(..., *normalized_shape)``.

    Raises
    ------
    ValueError
        If a length is below 1, or the input's last axes have other lengths.

    References
    ----------
    Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        weight_init: initializers.Initializer = _ONES,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps if eps is None else at_least_zero("eps", eps)
        self.elementwise_affine = elementwise_affine
        self.weight = None
        if elementwise_affine:
            weight = initializers.draw(weight_init, self.normalized_shape, rng)
            self.weight = parameter(weight, dtype)

    def forward(self, x: Tensor) -> Tensor:
        arrays = [] if self.weight is None else [self.weight]
        eps = self.eps
        if eps is None:
            eps = float(np.finfo(x.dtype if x.dtype.kind == "f" else np.float64).eps)
        return apply(ops.rms_norm, x, *arrays, shape=self.normalized_shape, eps=eps)


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    lengths = np.atleast_1d(normalized_shape).tolist()
    for length in lengths:
        at_least_one(normalized_shape=length)
    return tuple(lengths)
