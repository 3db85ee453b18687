"""Sequential and Residual: layers one behind the other."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, overload

from ..tensor import Tensor
from .layer import Layer


class Sequential(Layer):
    """Layers applied in turn: the output of each is the input of the next.

    Parameters
    ----------
    *layers
        Layers, or any functions of a tensor such as ``np.tanh``. Also reachable by index; a slice
        gives a Sequential of the same layers.

    Raises
    ------
    TypeError
        If one of them cannot be called.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    Sequential(
      (0): Linear(3, 1)  # 3 parameters
      (1): Sigmoid()
    )  # 3 parameters
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        for layer in layers:
            if isinstance(layer, type) and issubclass(layer, Layer):
                name = layer.__name__
                raise TypeError(
                    f"Sequential takes layers; received the class {name}: write {name}()"
                )
            if not callable(layer):
                raise TypeError(
                    "Sequential takes layers or functions as separate arguments; received "
                    f"{type(layer).__name__}: write Sequential(*layers) for a list"
                )
        self.layers = list(layers)

    def forward(self, x: Tensor) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> Any:
        found = self.layers[index]
        return Sequential(*found) if isinstance(found, list) else found

    def _attributes(self) -> Iterable[tuple[Any, Any]]:
        return chain(enumerate(self.layers), vars(self).items())  # what comes twice counts once

    def _children(self) -> Iterator[tuple[str, Any]]:
        yield from ((str(i), layer) for i, layer in enumerate(self.layers))
        others = super()._children()
        yield from ((name, child) for name, child in others if not name.isdigit())


class Residual(Sequential):
    """Layers applied in turn, whose last output is added to the first input.

    .. math:: y = x + f(x)

    Parameters
    ----------
    *layers
        Layers or functions as for `Sequential`, which together keep the shape.

    Raises
    ------
    ValueError
        If the layers' output does not have the shape of their input.
    TypeError
        If one of them cannot be called.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition" (2016).
    """

    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        if y.shape != x.shape:
            raise ValueError(
                f"the layers must keep the shape of their input; {x.shape} became {y.shape}"
            )
        return x + y
