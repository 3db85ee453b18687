"""Losses as ops: one number from a prediction and a target of the same shape."""

from .common import Array, Result, floating, number


def sum_of_squares(prediction: Array, target: Array) -> Result:
    """1/2 sum (prediction - target)**2; d/dprediction = prediction - target."""
    if prediction.shape != target.shape or not prediction.size:
        raise _unfit(prediction, target)
    difference = floating(prediction) - target
    flat = difference.ravel()
    half = number(0.5, flat.dtype)[()]
    return flat.dot(flat) * half, (lambda g: g * difference, lambda g: -g * difference)


def mean_squared_error(prediction: Array, target: Array) -> Result:
    """mean (prediction - target)**2; d/dprediction = 2 (prediction - target) / n."""
    if prediction.shape != target.shape or not prediction.size:
        raise _unfit(prediction, target)
    difference = floating(prediction) - target
    flat = difference.ravel()
    count = number(flat.size, flat.dtype)
    return flat.dot(flat) / count, (
        lambda g: difference * ((g + g) / count),
        lambda g: difference * (-(g + g) / count),
    )


def _unfit(prediction: Array, target: Array) -> ValueError:
    """Say why there is no loss: shapes that broadcasting would pair all with all, or no values."""
    if prediction.shape != target.shape:
        return ValueError(
            "prediction and target must have the same shape; "
            f"reshape one of them, received {prediction.shape} and {target.shape}"
        )
    return ValueError("the loss of no values is not defined; check that the batch is not empty")
