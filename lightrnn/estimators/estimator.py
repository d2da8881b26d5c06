"""What every estimator with a network shares: its weights, its history, saving and copying."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu, devices
from ..base import BaseEstimator, check_is_fitted
from ..nn.state_dict import torch_arrays
from ..training.history import TrainingOptions
from ..utils import archive
from ..utils.checks import choice, shown
from .model import Model

if TYPE_CHECKING:
    from .streams import Stream

PLAN = tuple(name for name in TrainingOptions.__dataclass_fields__ if name != "threads")


PRIVATE = frozenset(
    {"_model", "_is_table", "_n_features_out", "_metadata_request", "_sklearn_output_config"}
)


def is_result(name: Any) -> bool:
    """Whether a name is that of something `fit` has found out."""
    return (
        isinstance(name, str)
        and name.endswith("_")
        and not name.startswith("_")
        and name.isidentifier()
    )


def check_estimator(estimator: Any) -> None:
    """Raise TypeError unless it is an estimator of this package; a Pipeline around one is none."""
    if not isinstance(estimator, NetworkEstimator):
        raise TypeError(
            f"estimator must be an RNNClassifier, RNNRegressor or RNNLanguageModel, got {shown(estimator)}. "
            "Take the fitted estimator out of what holds it."
        )


class NetworkEstimator(BaseEstimator):
    """Base of the estimators; not for use by itself."""

    cell: str
    window: int
    n_jobs: int | None
    device: str
    _model: Model
    _start: int | None = None  # code that stands before every sequence

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a network."""
        return "_model" in vars(self)

    @property
    def weights_(self) -> dict[str, np.ndarray]:
        """Copies of the network's parameters by name; `n_parameters_` elements in all."""
        check_is_fitted(self)
        return self._model.network.arrays()

    def _placed(self, steps: int) -> AbstractContextManager[Any]:
        """Return the context in which the fitted network can predict from so many steps, where `device` says."""
        network, device = self._model.network, devices.check_device("device", self.device)
        return devices.placed(network, device, devices.prediction_work(network, steps))

    def _make_plan(self, arguments: dict[str, Any]) -> TrainingOptions:
        """Take from checked arguments what concerns training."""
        return TrainingOptions(
            threads=cpu.threads.usable(arguments["n_jobs"]),
            **{name: arguments[name] for name in PLAN},
        )

    def _adopt(self, model: Model) -> None:
        """Make a trained model the estimator's own."""
        model.network.release_training_memory()
        self._model = model
        history = model.history
        self.n_iter_ = len(history.losses)
        self.loss_curve_ = list(history.losses)
        self.best_loss_ = min(history.losses, default=math.inf)
        self.validation_scores_ = list(history.scores) if history.scores else None
        self.n_parameters_ = model.network.n_parameters
        self.vocabulary_ = None if model.vocabulary is None else model.vocabulary.tokens
        self.device_ = model.device

    # -- streams ------------------------------------------------------------------------------------------------------

    def stream(self, n_streams: int | None = None, *, method: str | None = None) -> Stream:
        """Return the fitted network as something that is fed one step at a call and answers at once.

        Parameters
        ----------
        n_streams : int >= 1, optional
            Sequences in parallel; by default one, whose steps come without an axis for it. A language model's begin at
            the start of a text.
        method : str, optional
            What a step answers: "predict", "predict_proba" or "transform"; by default the first that the estimator has.

        Returns
        -------
        lightrnn.estimators.streams.Stream

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError
            If it is bidirectional: the end of a stream is not known.
        """
        from .streams import Stream

        check_is_fitted(self)
        if self._model.architecture.get("bidirectional"):
            raise ValueError(
                "bidirectional must be False for a stream, got True. The backward direction begins at the end, which a "
                "stream has not reached; fit with bidirectional=False."
            )
        answers = self._answers() | {"transform": (None, None)}
        rows, row = answers[choice("method", method or next(iter(answers)), tuple(answers))]
        return Stream(self._model, n_streams, row if n_streams is None else rows, self._start)

    def _answers(self) -> dict[str, tuple[Any, Any]]:
        """Return what raw outputs mean by each method: of rows (n, k), and of one (k,)."""
        raise NotImplementedError

    # -- keeping ------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, which `lightrnn.load` reads on any machine.

        Callbacks and attributes of your own are not written. The file holds arrays and JSON, no pickle. It takes the
        place of one that was there when it is whole, so that a save that is killed leaves the old one.

        Parameters
        ----------
        path : str or path-like
            The file, used as it is: no suffix is added.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it is of a class derived from ours, which `load` would not know.
        """
        check_is_fitted(self)
        if type(self).__module__.partition(".")[0] != __package__.partition(".")[0]:
            raise TypeError(
                f"save must be called of a class of lightrnn's own, got {type(self).__qualname__}. Pickle it instead."
            )
        known = self._defaults().keys() | PRIVATE
        state = {
            name: value
            for name, value in self.__getstate__().items()
            if name in known or is_result(name)
        }
        archive.write(
            path, {"estimator": type(self).__name__, "state": state | {"callbacks": None}}
        )

    def to_torch(self) -> dict[str, np.ndarray]:
        """Return the weights as PyTorch's state_dict has them, for a module with the parts named here.

        ``embedding = nn.Embedding(V, E)`` where tokens are read, ``rnn = nn.LSTM(...)``, nn.GRU or nn.RNN, and
        ``head = nn.Linear(D, n_outputs_)``: the names are "embedding.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0",
        "rnn.bias_ih_l0", "rnn.bias_hh_l0", with "_reverse" at the end for the backward direction, and so on for layer
        1, then "head.weight" and "head.bias". Where layers have different sizes each is a module of its own: "rnn0",
        "rnn1". A bias that we keep as one is torch's first; the second is zeros. Row r of the embedding is token r of
        `vocabulary_`, row k of the head class k of `classes_`.

        Returns
        -------
        dict of str to ndarray
            Copies, in the network's dtype. In PyTorch: ``module.load_state_dict({name: torch.from_numpy(array) for
            name, array in estimator.to_torch().items()})``. `lightrnn.from_torch` reads them too.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError
            If torch has no such layers: those of the ffnn, or an adaptive softmax's.
        """
        check_is_fitted(self)
        return torch_arrays(self._model.network)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, with the model as a tree of plain values."""
        state = dict(vars(self))
        return state | {"_model": state["_model"].tree()} if "_model" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo `__getstate__`."""
        state = dict(state)
        for method, requests in state.pop("_metadata_request", {}).items():
            getattr(self, f"set_{method}_request")(**requests)
        if "_model" in state:
            state["_model"] = Model.from_tree(state["_model"])
        vars(self).update(state)
