"""The attributes of a fitted forecaster, derived from everything that it has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..estimators.regressor import RNNRegressor
from .fitted import Fitted


class FittedAttributes:
    """The public attributes of `RNNForecaster`, which are there after `fit`."""

    if TYPE_CHECKING:

        def _fitted(self) -> Fitted: ...

    @property
    def nets_(self) -> list[RNNRegressor]:
        """The fitted networks."""
        return list(self._fitted().nets)

    @property
    def scale_(self) -> str | None:
        """The scale that was used."""
        return self._fitted().encoding.scale

    @property
    def longer_season_(self) -> int:
        """The steps of the longer period that is read too, or 0."""
        return self._fitted().encoding.longer

    @property
    def n_parameters_(self) -> int:
        """The number of weights of a network."""
        return self._fitted().nets[0].n_parameters_

    @property
    def n_features_in_(self) -> int:
        """The number of covariates."""
        return self._fitted().encoding.covariates.n_columns

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of covariates."""
        names = self._fitted().encoding.covariates.names
        if names is None:
            raise AttributeError("There are no feature_names_in_: X was no DataFrame.")
        return np.array(names, object)
