"""Compare every cell, and two baselines without a network, on the same data by cross-validation."""

from .compare import Comparison, Result, compare

__all__ = ["Comparison", "Result", "compare"]

# The public module is the one that users import from.
Comparison.__module__ = __name__
Result.__module__ = __name__
