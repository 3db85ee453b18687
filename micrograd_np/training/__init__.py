"""Training: from two arrays and a model to a trained model and its history."""

from . import metrics
from .callbacks import Checkpoint, EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from .data import batches, train_test_split
from .fitting import fit
from .history import History
from .predicting import predict
from .run import Callback, Run

__all__ = [
    "Callback", "Checkpoint", "EarlyStopping", "History", "ReduceLROnPlateau", "Run",
    "TerminateOnNaN", "batches", "fit", "metrics", "predict", "train_test_split",
]  # fmt: skip
