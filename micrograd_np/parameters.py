"""Parameters as optimizers and clipping take them: lists of tensors, each once, or groups."""

from collections.abc import Iterable
from typing import Any


def grouped(parameters: Iterable[Any]) -> tuple[list[Any], list[tuple[list[int], dict[str, Any]]]]:
    """Return all parameters, and for each group the indices of its own and its settings."""
    given = listed(parameters)
    groups = given if all(isinstance(item, dict) for item in given) else [{"params": given}]
    found: list[Any] = []
    indexed = []
    for i, group in enumerate(groups):
        if "params" not in group:
            raise ValueError(f'a group has its tensors under "params"; group {i} has {list(group)}')
        tensors = listed(group["params"])
        members = list(range(len(found), len(found) + len(tensors)))
        indexed.append((members, {name: group[name] for name in group if name != "params"}))
        found += tensors
    for i, parameter in enumerate(distinct(found)):
        if not parameter.is_leaf:
            raise ValueError(f"parameter {i} is the value of an op; pass the tensors it came from")
        if not parameter.requires_grad:
            raise ValueError(
                f"parameter {i} requires no gradient, so no step could change it; leave it out, as "
                "layer.parameters() does"
            )
    return found, indexed


def listed(parameters: Iterable[Any]) -> list[Any]:
    """Return parameters, or groups of them, as a list that has at least one."""
    if hasattr(parameters, "requires_grad"):
        raise TypeError("parameters must be a list of tensors; received one tensor: write [tensor]")
    if hasattr(parameters, "parameters"):
        raise TypeError(
            "parameters must be a list of tensors; received a layer: write .parameters()"
        )
    if callable(parameters):
        raise TypeError(
            "parameters must be a list of tensors; received a function: call it, as in "
            "model.parameters()"
        )
    found = list(parameters)
    if not found:
        raise ValueError(
            "there must be at least one parameter; received none (layers find tensors in "
            "attributes, lists, tuples and dicts; a generator gives its items only once)"
        )
    return found


def distinct(parameters: list[Any]) -> list[Any]:
    """Return parameters that are tensors, each once; raise otherwise."""
    for i, parameter in enumerate(parameters):
        if not hasattr(parameter, "requires_grad"):
            raise TypeError(f"parameters must be tensors; number {i} is {type(parameter).__name__}")
    first: dict[int, int] = {}
    for i, parameter in enumerate(parameters):
        if (before := first.setdefault(id(parameter), i)) != i:
            raise ValueError(
                f"parameter {i} was passed twice, first as number {before}; pass each once"
            )
    return parameters
