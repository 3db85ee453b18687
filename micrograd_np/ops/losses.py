"""Losses as ops: one number from a prediction and a target of the same shape."""

from .common import Array, Result, number


def sum_of_squares(prediction: Array, target: Array) -> Result:
    """1/2 sum (prediction - target)**2; d/dprediction = prediction - target."""
    difference = _difference(prediction, target)
    flat = difference.ravel()
    half = number(0.5, flat.dtype)[()]
    return flat.dot(flat) * half, (lambda g: g * difference, lambda g: -g * difference)


def mean_squared_error(prediction: Array, target: Array) -> Result:
    """mean (prediction - target)**2; d/dprediction = 2 (prediction - target) / n."""
    difference = _difference(prediction, target)
    flat = difference.ravel()
    count = number(flat.size, flat.dtype)
    return flat.dot(flat) / count, (
        lambda g: difference * ((g + g) / count),
        lambda g: difference * (-(g + g) / count),
    )


def _difference(prediction: Array, target: Array) -> Array:
    """Subtract what must have one shape, so that broadcasting cannot pair everything with all."""
    if prediction.shape != target.shape:
        raise ValueError(
            "prediction and target must have the same shape; "
            f"reshape one of them, received {prediction.shape} and {target.shape}"
        )
    if prediction.size == 0:
        raise ValueError("the loss of no values is not defined; check that the batch is not empty")
    if prediction.dtype.kind != "f":
        prediction = prediction.astype(float)  # unsigned integers would wrap
    return prediction - target
