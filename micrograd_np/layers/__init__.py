"""Layers: functions with parameters. Each is a constructor and a formula."""

from .activations import ReLU, Sigmoid, Tanh
from .layer import Layer
from .linear import Linear
from .sequential import Sequential

__all__ = ["Layer", "Linear", "ReLU", "Sequential", "Sigmoid", "Tanh"]
