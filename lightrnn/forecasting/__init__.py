"""Forecasting: one recurrent network over all series, trained from every step of each."""

from .forecaster import RNNForecaster

__all__ = ["RNNForecaster"]
