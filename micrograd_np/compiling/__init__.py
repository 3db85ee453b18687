"""Compiling: functions of arrays as programs of plain NumPy calls."""

from .compiled import compile

__all__ = ["compile"]
