"""`DaskEstimator`, the base of the estimators on dask: their client, and the local estimator."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..estimators.declarations import Domain, argument
from ..estimators.estimator import Arguments, NetworkEstimator
from ..estimators.model import Model
from .collections import check_counts, computed, concatenated
from .environment import connected
from .network import DistributedNetwork

CLIENT = Domain("distributed.Client or None", lambda name, value: value)

if TYPE_CHECKING:
    _Local = NetworkEstimator
else:  # a dataclass would put its own defaults in the place of those of the local class
    _Local = object


@dataclass(kw_only=True, repr=False, eq=False)
class DaskEstimator(_Local):
    """Base class that stands before a local class, whose arguments and results it shares."""

    client: Any = argument(
        None,
        CLIENT,
        """Client of the cluster that fits. None: the current client. It is neither saved nor
        pickled.""",
    )
    _local: ClassVar[type[NetworkEstimator]]

    @property
    def client_(self) -> Any:
        """The client that `fit` uses."""
        return connected(self.client)

    def _checked(self) -> Arguments:
        arguments = super()._checked()
        if arguments["device"] != "cpu":
            raise ValueError(
                f"device must be 'cpu' on dask, got {arguments['device']!r}. Workers compute on "
                "their CPUs."
            )
        return arguments

    def _adopt(self, model: Model) -> None:
        if isinstance(model.network, DistributedNetwork):
            model.network = model.network.local()
        super()._adopt(model)

    def to_local(self) -> Any:
        """Return the fitted estimator of the local class: it saves, streams and exports.

        Returns
        -------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            It shares the fitted network with this one; neither changes it.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        self._fitted()
        local = object.__new__(self._local)
        vars(local).update(vars(self))
        for name in ("client", "sequence", "sequence_"):
            vars(local).pop(name, None)
        return local

    def _gathered(self, values: Any, name: str, counts: np.ndarray | None = None) -> Any:
        """Return what partitions hold beside X, checked against their numbers of sequences."""
        parts = computed(self.client_, values, name)
        if parts is None:
            return values
        if counts is not None:
            check_counts(parts, counts, name)
        return concatenated([part for part in parts if len(part)] or parts, name)

    # -- copies -----------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write the fitted estimator of the local class to one file; see `to_local`.

        Parameters
        ----------
        path : str or path-like
            The file.
        """
        self.to_local().save(path)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes without the client, which belongs to this process."""
        return super().__getstate__() | {"client": None}

    def __sklearn_clone__(self) -> Self:
        """Return a copy that is not fitted, with the same client."""
        given = self.get_params(deep=False)
        client = given.pop("client")
        return type(self)(**copy.deepcopy(given), client=client)
