"""Training: epochs over minibatches or full-batch L-BFGS, with schedules and early stopping."""

from .history import Epoch

__all__ = ["Epoch"]
