"""Training: epochs over minibatches or full-batch L-BFGS, with schedules and early stopping."""

from .history import STOP, Epoch, StopTraining

__all__ = ["STOP", "Epoch", "StopTraining"]
