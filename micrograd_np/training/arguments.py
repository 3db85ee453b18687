"""Arguments of a training run, checked before it begins: what must hold, and what was received."""

from collections.abc import Callable, Mapping
from reprlib import repr as shortened
from typing import Any, TypeAlias

from ..layers.layer import check_layer
from ..operations import plain
from ..ops.common import Array, as_array
from ..optimizers import Optimizer
from ..tensor import Tensor

Loss: TypeAlias = Callable[[Any, Any], Tensor]

Metric: TypeAlias = Callable[[Array, Array], Any]


def check_kinds(model: Any, loss: Any, optimizer: Any, schedule: Any) -> None:
    """Raise for the first that is of another kind."""
    check_layer(model)
    if not callable(loss):
        raise TypeError(
            "loss must be a function of predictions and targets, such as mean_squared_error; "
            f"received {shortened(loss)}"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            "optimizer must be an instance, such as Adam(model.parameters()); received "
            f"{shortened(optimizer)}"
        )
    if not (schedule is None or callable(schedule)):
        raise TypeError(
            "schedule must be a function of the number of updates, such as schedules.step(0.1, "
            f"100); received {shortened(schedule)}"
        )
    if not {id(p) for p in optimizer.parameters} & {id(p) for p in model.parameters()}:
        raise ValueError(
            "none of the optimizer's parameters is one of the model's; make the optimizer of "
            "model.parameters(), after the model"
        )


def columns_of(metrics: Mapping[str, Metric], validated: bool) -> list[str]:
    """Return the names of what a row has."""
    if not isinstance(metrics, Mapping) or not all(
        isinstance(name, str) and callable(metric) for name, metric in metrics.items()
    ):
        raise TypeError(
            "metrics must be a dict of functions by name, such as {'accuracy': "
            f"metrics.accuracy}}; received {shortened(metrics)}"
        )
    measures = ["loss", *metrics]
    if validated:
        measures += [f"val_{name}" for name in measures]
    columns = ["epoch", *measures, "lr", "seconds"]
    if len(set(columns)) < len(columns):
        raise ValueError(f"metrics must have names of their own; received {list(metrics)}")
    return columns


def samples_of(inputs: Any, targets: Any, of: str = "") -> tuple[Array, Array]:
    """Return inputs and targets as arrays that have the same number of samples, at least one."""
    x, y = _array(f"{of}inputs", inputs), _array(f"{of}targets", targets)
    if not (x.ndim and y.ndim and len(x) == len(y) > 0):
        raise ValueError(
            f"{of}inputs and targets must have the same number of samples, at least one; "
            f"received shapes {x.shape} and {y.shape}"
        )
    return x, y


def _array(name: str, data: Any) -> Array:
    try:
        return read_only(as_array(plain(data)))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def read_only(array: Array) -> Array:
    """Return a view through which nobody can overwrite the user's data, nor can its own views."""
    view = array.view()
    view.flags.writeable = False
    return view


def one_entry(loss: Any) -> Tensor:
    """Return what a loss gave, if it can be the end of a graph."""
    if not isinstance(loss, Tensor) or loss.size != 1:
        raise ValueError(
            "loss must return a tensor of one entry, such as the mean over the batch; received "
            f"{loss.shape if isinstance(loss, Tensor) else shortened(loss)}"
        )
    return loss
