"""Looking: what a model is made of, what it recorded, where it went wrong, what it draws."""

from .anomaly import detect_anomaly
from .graph import graph
from .plots import plot_confusion_matrix, plot_decision_boundary, plot_history
from .summary import summary

__all__ = [
    "detect_anomaly",
    "graph",
    "plot_confusion_matrix",
    "plot_decision_boundary",
    "plot_history",
    "summary",
]
