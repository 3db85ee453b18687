"""Extras: packages that single features need, and what to do where one is missing."""

from importlib import import_module
from typing import Any


def extra(module: str, name: str, user: str) -> Any:
    """Import the optional `module`, which the extra `name` installs, for the sake of `user`.

    Raises
    ------
    ImportError
        If it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"{user} needs {package}; install it with: pip install 'micrograd_np[{name}]' "
            f"(import {module} failed: {error})",
            name=package,
        ) from error
