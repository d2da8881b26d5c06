"""`NetworkEstimator`, the base of every estimator: its arguments, results, saving and copying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import cpu, devices
from ..base import BaseEstimator, check_is_fitted
from ..data.ragged import Values, pool
from ..nn.state_dict import torch_arrays
from ..training.history import TrainingOptions
from ..training.loop import train
from ..utils.checks import choice, shown
from ..utils.files import StrPath
from .arguments import NetworkArguments, TrainingArguments
from .declarations import N_JOBS, checked, declared
from .model import Model
from .outputs import check_outputs, overflow
from .rules import check_decay

if TYPE_CHECKING:
    from ..losses import Loss
    from ..nn.network import Network
    from ..training.minibatches import BatchSource
    from ..training.trainable import TrainableNetwork
    from .streams import Stream

Arguments = dict[str, Any]


def check_estimator(
    estimator: Any,
    remedy: str = "Take the fitted estimator out of what holds it: the last step of a pipeline, or "
    "one of a forecaster's nets_.",
) -> None:
    """Raise a TypeError unless the object is an estimator of this package, not a Pipeline of one.

    Its message ends with the remedy.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(estimator, NetworkEstimator):
        raise TypeError(
            "estimator must be an RNNClassifier, RNNRegressor or RNNLanguageModel, got "
            f"{shown(estimator)}. {remedy}"
        )


class NetworkEstimator(TrainingArguments, NetworkArguments, BaseEstimator):
    """Base class of the estimators; not for use by itself."""

    # What `Model.results` returns is set together with the model.
    _model: Model
    n_iter_: int
    stop_reason_: str | None
    best_epoch_: int | None
    loss_curve_: list[float]
    best_loss_: float
    validation_scores_: list[float] | None
    n_parameters_: int
    n_outputs_: int
    tokens_: str
    vocabulary_: np.ndarray | None
    device_: str
    _start: int | None = None  # the code that precedes every sequence

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a network."""
        return "_model" in vars(self)

    @property
    def weights_(self) -> dict[str, np.ndarray]:
        """Copies of the network's parameters by name; `n_parameters_` elements in all."""
        return self._fitted().network.arrays()

    def _fitted(self) -> Model:
        """Return the model: a call that uses no other is not disturbed by another thread's fit."""
        check_is_fitted(self)
        return self._model

    def _checked(self) -> Arguments:
        """Return the constructor's arguments as plain values.

        Raises
        ------
        ValueError, TypeError
            If one is outside its domain, or if two exclude each other.
        """
        kind: Any = type(self)
        arguments = checked(kind, {name: getattr(self, name) for name in declared(kind)})
        check_decay(**arguments)
        return arguments

    def _computed(
        self, model: Model, X: Sequence[np.ndarray], what: str, name: str = "X"
    ) -> tuple[np.ndarray, Values]:
        """Return the network's "outputs", "final_outputs" or "states" of sequences, all finite.

        They come twice: (N, k) over all steps of all sequences, and as the network returns them.
        """
        with self._placed(model.network, sum(map(len, X))) as network:
            # `network` may be a copy on a GPU, so its methods are taken in here.
            values: Values = getattr(network, what)(X, self._threads())
        rows = pool(values)
        check_outputs(rows, values, lambda index: overflow(X[index], model.network.dtype), name)
        return rows, values

    def warm(self) -> Self:
        """Load the machine code of predictions, so that the first one is as fast as the others.

        Processes that are forked afterwards, such as a server's workers, share it.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> RNNRegressor("rnn", (4,), max_iter=2, random_state=0).fit(X, [1.0, 2.0]).warm()
        RNNRegressor(cell='rnn', hidden_layer_sizes=(4,), max_iter=2, random_state=0)
        """
        model = self._fitted()
        tokens = model.vocabulary is not None
        x = np.zeros(2, np.int64) if tokens else np.zeros((2, model.network.n_features))
        for X in ([x, x], [x, x[:1]]):  # lengths that differ are read by other kernels
            self._computed(model, X, "outputs")
        return self

    def _threads(self) -> int:
        """Return the number of threads for a fitted network; `n_jobs` may be of any file."""
        return cpu.threads.usable(N_JOBS.check("n_jobs", self.n_jobs))

    def _placed(self, network: Network, steps: int) -> AbstractContextManager[Any]:
        """Return the context in which a fitted network predicts from this many steps."""
        device = devices.check_device("device", self.device)
        return devices.placed(network, device, devices.prediction_work(network, steps))

    def _train(
        self,
        arguments: Arguments,
        model: Model,
        loss: Loss,
        batches: BatchSource,
        *,
        epochs: int,
        n_steps: int,
        score: Callable[[TrainableNetwork], float] | None,
    ) -> None:
        """Run epochs of n_steps time steps on a model.

        `score` returns the validation score of a network; it is None without validation data.
        """
        given = arguments | {"threads": cpu.threads.usable(arguments["n_jobs"])}
        options = {name: given[name] for name in TrainingOptions.__dataclass_fields__}
        kind = (arguments[name] for name in ("cell", "dtype", "solver"))
        cpu.ahead.expect(*kind, given["threads"])
        solver = model.make_solver(arguments["momentum"], arguments["alpha"])
        work = devices.training_work(model.network, epochs * n_steps)
        with devices.placed(model.network, arguments["device"], work) as network:
            train(
                network,
                loss,
                solver,
                TrainingOptions(**options),
                batches,
                model.history,
                epochs=epochs,
                validate=None if score is None else partial(score, network),
            )
            model.device = network.device
        model.moments = None if solver is None else solver.state

    def _adopt(self, model: Model) -> None:
        """Take over a trained model and the attributes that describe it, all at one moment."""
        # Workspaces of training are as large as the largest minibatch; prediction needs none.
        model.network.release_training_memory()
        self._replace_results(_model=model, **model.results())

    # -- streams ----------------------------------------------------------------------------------

    def stream(
        self,
        n_streams: int | None = None,
        *,
        method: str | None = None,
    ) -> Stream:
        """Return a stream: the fitted network, fed one step per call.

        A network that reads patches of ``patch_`` steps answers after each whole patch; the steps
        in between return None.

        Parameters
        ----------
        n_streams : int >= 1 or None, default=None
            Number of sequences in parallel. None: one, whose steps have no axis for it. The streams
            of a language model begin at the start of a text.
        method : {"predict", "predict_proba", "transform"} or None, default=None
            Method whose result each step returns; None takes the first that the estimator has.

        Returns
        -------
        stream : lightrnn.estimators.streams.Stream
            It has copies of the weights.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError
            If the network is bidirectional, since the end of a stream is not known, or if the
            estimator has no such method.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> model = RNNRegressor("rnn", (4,), max_iter=2, random_state=0)
        >>> stream = model.fit(X, [1.0, 2.0]).stream()
        >>> answers = [stream.step(x) for x in X[0]]
        >>> bool(answers[-1] == model.predict(X)[0])
        True
        """
        with cpu.once.MAKING:
            from .patch_streams import PatchStream
            from .streams import Stream, check_direction

        model = self._fitted()
        check_direction(model, self.get_params(deep=False).get("bidirectional"))
        methods = self._stream_methods(model) | {"transform": (None, None)}
        name = choice("method", method or next(iter(methods)), tuple(methods))
        of_many, of_one = methods[name]
        answer = of_one if n_streams is None else of_many
        if model.form is not None and model.form.patch > 1:
            return PatchStream(model, n_streams, answer)
        return Stream(model, n_streams, answer, self._start)

    def _stream_methods(self, model: Model) -> dict[str, tuple[Any, Any]]:
        """Return by method the functions of raw outputs: of many (n, k), and of one (k,)."""
        raise NotImplementedError

    # -- saving -----------------------------------------------------------------------------------

    def save(self, path: StrPath) -> None:
        """Write the fitted estimator to one file, which `lightrnn.load` reads on any machine.

        Callbacks, a function for `scoring` and attributes of your own are not written, and of the
        arguments that describe the network those of its fit. The file holds arrays and JSON, no
        pickle. An older file of the same name is replaced only when the new one is complete.

        Parameters
        ----------
        path : str or path-like
            The file, used as it is: no suffix is added.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it is of a class of your own, which `load` would not know.
        ValueError
            If `load` would refuse the file, for example because a weight is not finite, or if
            `path` is a device or a pipe.
        OSError
            If the file cannot be written, for example because its folder does not exist.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor, load
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> model = RNNRegressor("rnn", (4,), max_iter=2, random_state=0)
        >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
        >>> model.fit(X, [1.0, 2.0]).save(path)
        >>> bool((load(path).predict(X) == model.predict(X)).all())
        True
        """
        from ..utils import archive
        from .saved_state import check_loadable

        archive.write(path, self._content(), partial(check_loadable, type(self)))

    def _content(self) -> dict[str, Any]:
        """Return what `save` writes."""
        from .saved_state import SAVED, fitted_arguments

        check_is_fitted(self)
        # `load` makes estimators by name, and knows only our own.
        if type(self).__module__.partition(".")[0] != __package__.partition(".")[0]:
            raise TypeError(
                "save must be called of a class of lightrnn's own, got "
                f"{type(self).__qualname__}. Pickle it instead."
            )
        known = self._defaults().keys() | SAVED
        state = {name: value for name, value in self.__getstate__().items() if name in known}
        # Functions cannot be written without pickle.
        state["callbacks"] = None
        if callable(state.get("scoring")):
            del state["scoring"]
        state |= fitted_arguments(type(self), state)
        return {"estimator": type(self).__name__, "state": state}

    def to_torch(self) -> dict[str, np.ndarray]:
        """Return the weights as a state_dict of PyTorch.

        It is that of a module with the parts ``embedding = nn.Embedding(V, E)`` where tokens are
        read, ``rnn = nn.LSTM(...)``, nn.GRU or nn.RNN, and ``head = nn.Linear(D, n_outputs_)``. The
        names are "embedding.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0",
        "rnn.bias_hh_l0", the same with "_reverse" for a backward direction, the same for layer 1,
        and so on, then "head.weight" and "head.bias". With `head_layer_sizes` the head is
        ``nn.Sequential(nn.Linear(D, h), nn.ReLU(), nn.Linear(h, n_outputs_))``, or with the module
        of another `head_activation`, and its names are "head.0.weight", "head.2.weight" and so on.
        Layers of different sizes are modules of their own: "rnn0", "rnn1". A module pools the
        states of all steps, ``h`` (n, T, D) of n sequences of T steps, by ``h.mean(1)``, by
        ``h.amax(1)``, or with ``attention = nn.Linear(D, 1, bias=False)``, whose "attention.weight"
        is there then, by ``(attention(h).softmax(1) * h).sum(1)``; without pooling the head reads
        ``h_n``. Where this package has one bias and PyTorch two, the second is zeros. Row r of the
        embedding is token r of `vocabulary_`, row k of the head is class k of `classes_`. The
        standardisation of X is part of the first layer's weights, so the module takes X as it is;
        where `X_mean_` is large compared with `X_scale_`, float32 loses digits by that. With ``p =
        estimator.patch_`` above 1 the module reads patches of p steps, of each sequence x (T, F)
        ``np.pad(x, [(0, -len(x) % p), (0, 0)], "edge").reshape(-1, p * F)``. With
        ``missing="mask"`` it reads 3 * F columns of each step in the place of F: values with the
        last one carried, marks, and numbers of steps since, as `missing` describes them. A
        regressor's head gives standardised numbers, of which predictions are made in float64:
        ``module(x).double() * torch.from_numpy(estimator.y_scale_) +
        torch.from_numpy(estimator.y_mean_)``; with q quantiles of each of k columns of
        ``module(x).double().unflatten(-1, (k, q)).sort(-1).values``, whose columns are those of y.

        Returns
        -------
        state_dict : dict of str to ndarray
            Copies, in the network's dtype, which `lightrnn.from_torch` reads too. In PyTorch:
            ``module.load_state_dict({name: torch.from_numpy(array) for name, array in
            estimator.to_torch().items()})``.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError
            If PyTorch has no such layers: those of an "ffnn", or of an adaptive softmax; or if a
            weight is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> model = RNNRegressor("rnn", (4,), max_iter=2, random_state=0)
        >>> list(model.fit(X, [1.0, 2.0]).to_torch())[:2]
        ['rnn.weight_ih_l0', 'rnn.weight_hh_l0']
        """
        return torch_arrays(self._fitted().network)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, with the model as a tree of plain values."""
        state = dict(vars(self))
        return state | {"_model": state["_model"].tree()} if "_model" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the attributes that `__getstate__` returned, or `save` wrote."""
        state = dict(state)
        # Requests are set by their methods: scikit-learn's clone needs the type that these make.
        for method, requests in state.pop("_metadata_request", {}).items():
            getattr(self, f"set_{method}_request")(**requests)
        if "_model" in state:
            model = Model.from_tree(state["_model"])
            # A file has no results; a pickle has those that the user sees.
            state = model.results() | state | {"_model": model}
        vars(self).update(state)
