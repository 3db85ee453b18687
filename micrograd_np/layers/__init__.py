"""Layers: functions with parameters. Each is a constructor and a formula."""

from .activations import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .attention import MultiHeadAttention, TransformerBlock
from .convolutions import AvgPool2d, Conv1d, Conv2d, Flatten, MaxPool2d
from .dropout import Dropout
from .layer import Layer
from .linear import Embedding, Linear
from .normalizations import BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm
from .recurrent import GRU, LSTM, RNN
from .sequential import Residual, Sequential

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv1d",
    "Conv2d", "Dropout", "Embedding", "Flatten", "Layer", "LayerNorm", "LeakyReLU", "Linear",
    "LogSoftmax", "MaxPool2d", "MultiHeadAttention", "RMSNorm", "ReLU", "Residual", "Sequential",
    "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "TransformerBlock",
]  # fmt: skip
