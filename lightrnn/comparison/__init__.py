"""Compare every cell, and two baselines without a network, on the same data by cross-validation."""

from .compare import Comparison, Result, compare

__all__ = ["Comparison", "Result", "compare"]
