"""Estimators that train on a dask cluster: one network, data in partitions on many workers.

``pip install "dask[array]" distributed`` installs what they need. A fit draws the same minibatches
as a local one. Each worker computes the gradient of the sequences that its partitions hold, the
client adds these gradients in a fixed order and takes the solver's step. So the fitted network
depends on the partitions, the seed and the arguments, and never on the number of workers or on
their speed.
"""

from .estimators import DaskRNNClassifier, DaskRNNRegressor
from .language import DaskRNNLanguageModel

__all__ = ["DaskRNNClassifier", "DaskRNNLanguageModel", "DaskRNNRegressor"]
