"""Looking: what a model is made of, what it recorded, where it went wrong, what it draws."""

from .plots import plot_confusion_matrix, plot_decision_boundary, plot_history

__all__ = ["plot_confusion_matrix", "plot_decision_boundary", "plot_history"]
