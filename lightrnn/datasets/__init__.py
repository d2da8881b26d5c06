"""Datasets: real ones that ship with the package, and synthetic problems that cells solve or fail.

Loaders read files of this package, with licence and source beside them; nothing is downloaded.
Generators take a `random_state` and return arrays, as scikit-learn's do.
"""

from ._generators import make_adding_problem, make_copy_memory, make_frames, make_temporal_order
from ._loaders import (
    load_air_passengers,
    load_japanese_vowels,
    load_shakespeare,
    load_sunspots,
)
from ._sentences import make_long_context_sentences

__all__ = [
    "load_air_passengers",
    "load_japanese_vowels",
    "load_shakespeare",
    "load_sunspots",
    "make_adding_problem",
    "make_copy_memory",
    "make_frames",
    "make_long_context_sentences",
    "make_temporal_order",
]
