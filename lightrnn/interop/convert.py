"""`from_torch` and `from_keras`: networks trained by PyTorch or Keras, as fitted estimators."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from ..data.dataset import refuse_for_tokens
from ..data.form import Form
from ..data.targets import several_quantiles
from ..data.tokens import Vocabulary
from ..estimators import RNNClassifier, RNNRegressor
from ..estimators.declarations import checked, declared
from ..estimators.language import RNNLanguageModel
from ..estimators.model import Model, build_network, loss_arguments
from ..training.history import History
from ..utils.checks import flag, random_generator, shown
from .adapt import UserLabels, classifier_head, language_head, read_vocabulary, regressor_head
from .foreign import ForeignNetwork
from .keras import read_file, read_keras
from .tensor_files import read_tensors
from .torch import find_state_dict, read_torch

E = TypeVar("E", RNNClassifier, RNNRegressor, RNNLanguageModel)


def from_torch(
    source: Any,
    estimator: E,
    *,
    classes: Any = None,
    vocabulary: Any = None,
    multilabel: bool = False,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
) -> E:
    """Turn a network that PyTorch has trained into a fitted estimator; PyTorch is not needed.

    The network is an nn.LSTM, nn.GRU or nn.RNN (with tanh) of any depth, bidirectional or not, with
    an nn.Linear on top and perhaps an nn.Embedding below.

    Parameters
    ----------
    source : str, path-like, mapping of str to array or tensor, or nn.Module
        A ``.safetensors`` file; a ``.pt`` file of ``torch.save(model.state_dict(), path)``, also
        within a checkpoint's dict, whatever stands beside it there; a state_dict of tensors or
        arrays; or the module itself. Nothing that a file names is executed. Weights that a loss has
        for its classes are passed over.
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Gives the result's arguments: its target, its dtype, and all that further training needs. It
        is not changed. The arguments `cell`, `hidden_layer_sizes`, `bidirectional`,
        `embedding_size` and `tokens` come from the source instead.
    classes : array-like of shape (k,), optional
        The label of each output, in the outputs' order; by default 0 to k - 1. A single output is
        the logit z of a binary classifier: the two classes get the outputs 0 and z, since
        softmax([0, z]) is sigmoid(z).
    vocabulary : sequence of str or int of length V, optional
        The token of each row of the embedding, in the rows' order; by default the integers from 0
        on. The row of "<unknown>" stands for all tokens that are not listed, and becomes row 0;
        without it, a row of zeros is put before the others. A row for padding (``padding_idx``) is
        a token like others that never occurs. A language model needs a vocabulary, with
        "<unknown>", and with "<end>" for the token that precedes and ends every text.
    multilabel : bool, default=False
        Whether every output of a classifier is a label of its own, with a sigmoid.
    recurrent : str or sequence of str, optional
        Name of the recurrent module, or of several from first to last. By default those found, if
        their names differ only in a final number (``lstm1``, ``lstm2``).
    head : str, optional
        Name of the linear layer. By default the only module with a matrix and a bias, or, where
        none has a bias, with a matrix that fits the last recurrent layer.
    embedding : str, optional
        Name of the embedding. By default the only other module with a matrix and no bias.

    Returns
    -------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A new estimator of the given one's class, fitted: it predicts, can be saved, and goes on
        with `partial_fit` or `warm_start`, with a solver that starts anew. A regressor's outputs
        are the network's, in its dtype; `n_iter_` is 0.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source or the estimator is of another kind.
    ValueError
        If a weight is missing, misshapen, not finite or left over; if the network has layers that
        are not computed here, such as projections, peepholes or several linear layers; if the
        source is a module with an nn.RNN with ReLU or with another layer of torch's; if a file is
        damaged; or if an argument does not fit.

    See Also
    --------
    from_keras : The same for Keras.

    Notes
    -----
    Weights do not show all of what a model computes, so these are up to the user:

    - With ``target="sequence"`` the linear layer must read the final state, as ``h_n`` has it: of a
      bidirectional network ``torch.cat([h_n[-2], h_n[-1]], dim=1)``. A bidirectional model that
      reads ``output[:, -1]`` is another function, which sees only one step of the last layer's
      backward direction.
    - A linear layer that reads the mean or the maximum of all states is told by the estimator's
      `pooling`; attention as `to_torch` describes it is known by its weight "attention.weight".
    - A model that reads padded steps, or applies a function of its own between the layers, is
      another function too.
    - A network that reads p steps as one input needs an estimator with ``patch=p``.
    - An nn.RNN is taken to have tanh, torch's default, unless the source is the module itself.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier, from_torch
    >>> rng = np.random.default_rng(0)
    >>> X, y = [rng.normal(size=(T, 3)) for T in (5, 8, 4)], ["no", "yes", "no"]
    >>> trained = RNNClassifier("gru", (4,), random_state=0).fit(X, y)
    >>> state_dict = trained.to_torch()  # or a module's state_dict, or the file that it is saved in
    >>> {name: array.shape for name, array in state_dict.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'rnn.weight_ih_l0': (12, 3), 'rnn.weight_hh_l0': (12, 4), 'rnn.bias_ih_l0': (12,),
     'rnn.bias_hh_l0': (12,), 'head.weight': (2, 4), 'head.bias': (2,)}
    >>> model = from_torch(state_dict, RNNClassifier(), classes=["no", "yes"])
    >>> model
    RNNClassifier(hidden_layer_sizes=(4,), bidirectional=False)
    >>> bool(np.allclose(model.predict_proba(X), trained.predict_proba(X), atol=1e-5))
    True
    """
    _check_estimator(estimator)
    labels = UserLabels(classes, vocabulary, flag("multilabel", multilabel))
    with _enough_memory():
        weights = read_tensors(source) if isinstance(source, (str, os.PathLike)) else source
        foreign = read_torch(
            find_state_dict(weights),
            recurrent=recurrent,
            head=head,
            embedding=embedding,
            tied=bool(getattr(estimator, "tie_weights", False)),
        )
        return _fitted(estimator, foreign, labels)


def from_keras(
    source: str | os.PathLike[str],
    estimator: E,
    *,
    classes: Any = None,
    vocabulary: Any = None,
    multilabel: bool = False,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
) -> E:
    """Turn a network that Keras has trained into a fitted estimator; Keras is not needed.

    The network is a chain: perhaps an Embedding, then LSTM, GRU (``reset_after=True``) or SimpleRNN
    layers with their default activations, each in a Bidirectional (``merge_mode="concat"``) or
    none, and a Dense. Layers that change no prediction, such as Dropout, GaussianNoise or a
    Softmax at the end, may stand among them. Masking and ``mask_zero`` leave padding out; here
    sequences have their own lengths and no padding, and begin with a state of zeros also where the
    model is stateful. Files are read by h5py.

    Parameters
    ----------
    source : str or path-like
        A ``.keras`` file of Keras 2.13 or later, whose configuration is checked; or a
        ``.weights.h5`` file, which holds arrays alone, so that other activations, a ``merge_mode``
        or ``go_backwards`` go unnoticed.
        The state of Keras's optimizer is not read. HDF5 is read by h5py, a C library: open files of
        people you trust.
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        As in `from_torch`. A ``.keras`` file also determines `target`, by ``return_sequences``.
    classes : array-like of shape (k,), optional
        As in `from_torch`.
    vocabulary : sequence of str or int of length V, optional
        As in `from_torch`.
    multilabel : bool, default=False
        As in `from_torch`; a ``.keras`` file whose Dense layer has several outputs with a sigmoid
        is multilabel anyway.
    recurrent : str or sequence of str, optional
        Path of the recurrent layer in the HDF5 file, such as "layers/lstm", or of several from
        first to last. By default those found, if their names differ only in a final number.
    head : str, optional
        Path of the Dense layer. By default the only one found.
    embedding : str, optional
        Path of the Embedding. By default the only one found.

    Returns
    -------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        As in `from_torch`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If h5py is not installed.
    TypeError
        If the source or the estimator is of another kind.
    ValueError
        As in `from_torch`; also if a layer, an activation or another setting is not computed here,
        such as a GRU with ``reset_after=False``.

    See Also
    --------
    from_torch : The same for PyTorch.

    Examples
    --------
    >>> from lightrnn import RNNClassifier, from_keras
    >>> model.save("model.keras")  # doctest: +SKIP
    >>> from_keras("model.keras", RNNClassifier(), classes=["no", "yes"])  # doctest: +SKIP
    RNNClassifier(hidden_layer_sizes=(5,))
    """
    _check_estimator(estimator)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source must be a path, got {shown(source)}. "
            "Save the model: model.save('model.keras')."
        )
    labels = UserLabels(classes, vocabulary, flag("multilabel", multilabel))
    with _enough_memory():
        file = read_file(source)
        foreign = read_keras(file, recurrent=recurrent, head=head, embedding=embedding)
        return _fitted(estimator, foreign, labels)


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Raise a ValueError about the source where memory ends."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(
            f"source must be a network that fits in memory, got one that does not: {error}. "
            "Free some memory."
        ) from error


def _check_estimator(estimator: Any) -> None:
    """Refuse anything but an estimator of lightrnn."""
    if not isinstance(estimator, (RNNClassifier, RNNRegressor, RNNLanguageModel)):
        raise TypeError(
            "estimator must be an RNNClassifier, RNNRegressor or RNNLanguageModel, got "
            f"{shown(estimator)}. Pass one with the arguments of the result, such as "
            "RNNClassifier()."
        )


def _fitted(estimator: E, foreign: ForeignNetwork, labels: UserLabels) -> E:
    """Return a new estimator with a foreign network."""
    result: Any = _unfitted(estimator, foreign)
    language = isinstance(result, RNNLanguageModel)
    tokens = checked(type(result), {"tokens": result.tokens})["tokens"]
    vocabulary, rows = read_vocabulary(foreign, labels.vocabulary, tokens, language=language)
    if vocabulary is not None:
        result.set_params(tokens=vocabulary.kind)
    if language:
        head = language_head(foreign, labels, rows, tied=result.tie_weights)
    elif isinstance(result, RNNClassifier):
        head = classifier_head(foreign, labels, result.target == "step")
    else:
        given = {name: getattr(result, name) for name in ("dtype", "loss", "quantile")}
        known = checked(RNNRegressor, given)
        quantiles = several_quantiles(known["loss"], known["quantile"])
        step = result.target == "step"
        head = regressor_head(foreign, labels, step, known["dtype"], quantiles)
    arrays = foreign.layers()
    if foreign.embedding is not None:
        zeros = np.zeros(foreign.embedding.shape[1])
        # The last row, -1, is that of an unknown token which the source does not have.
        arrays["embedding.W"] = np.vstack([foreign.embedding, zeros])[rows]
    if head.W is not None:
        arrays["head.W"] = head.W
    arrays["head.b"] = head.b
    _adopt(result, foreign, arrays, head.targets, vocabulary)
    return result


def _unfitted(estimator: E, foreign: ForeignNetwork) -> E:
    """Return a copy of an estimator with the arguments that the source determines."""
    arguments = estimator.get_params(deep=False)
    arguments["cell"] = foreign.cell
    arguments["hidden_layer_sizes"] = foreign.sizes
    # A generator is copied: the given estimator's must not advance when the result is trained on.
    arguments["random_state"] = copy.deepcopy(arguments["random_state"])
    if foreign.embedding is not None:
        arguments["embedding_size"] = foreign.n_features
    if isinstance(estimator, RNNLanguageModel):
        _check_language(foreign, arguments["output"])
        arguments["output"] = "softmax"
    else:
        arguments["bidirectional"] = foreign.bidirectional
        arguments["pooling"] = _pooling(estimator, foreign)
        arguments["target"] = foreign.target or arguments["target"]
    return type(estimator)(**arguments)


def _pooling(estimator: Any, foreign: ForeignNetwork) -> str:
    """Return how the source pools: its weights show attention, the user may know of others."""
    if foreign.attention is not None:
        return "attention"
    default = declared(type(estimator))["pooling"]["default"]
    given: str = estimator.pooling
    return "last" if given in (default, "attention") else given


def _check_language(foreign: ForeignNetwork, output: Any) -> None:
    """Refuse a network that cannot be a language model's."""
    if foreign.bidirectional or foreign.target == "sequence":
        kind = "a bidirectional network" if foreign.bidirectional else "one output per sequence"
        raise ValueError(
            "source must read forward and have an output for every step to be an RNNLanguageModel, "
            f"got {kind}. Use RNNClassifier."
        )
    if output == "adaptive":
        raise ValueError(
            "output must be 'auto' or 'softmax', got 'adaptive'. The source has one linear layer."
        )


def _form(
    foreign: ForeignNetwork, patch: int | str, missing: str, vocabulary: Vocabulary | None
) -> Form:
    """Return the form of X for which a foreign network was made, perhaps to read patches."""
    if vocabulary is not None:
        refuse_for_tokens(patch, missing)
        return Form(1, is_table=False)
    if missing != "error":
        raise ValueError(
            f"missing must be 'error' for a network of another library, got {missing!r}. Give X "
            "with the columns that it was trained on."
        )
    steps = 1 if patch == "auto" else int(patch)
    F, rest = divmod(foreign.n_features, steps)
    if rest:
        raise ValueError(
            f"patch must divide the {foreign.n_features} inputs of the source, got {patch}. "
            "Give the number of steps that it reads as one input."
        )
    return Form(F, is_table=False, patch=steps)


def _adopt(
    estimator: Any,
    foreign: ForeignNetwork,
    arrays: Mapping[str, np.ndarray],
    targets: Any,
    vocabulary: Vocabulary | None,
) -> None:
    """Build the model and give it to the estimator."""
    arguments = estimator._checked()
    form = _form(foreign, arguments.get("patch", 1), arguments.get("missing", "error"), vocabulary)
    n_tokens = len(vocabulary or ())
    if isinstance(estimator, RNNLanguageModel):
        architecture = estimator._architecture(arguments, n_tokens)
    else:
        n_outputs = targets.n_outputs
        architecture = estimator._architecture(arguments, n_outputs, form.input_features, n_tokens)
    network = build_network(architecture)
    # A weight too large for float32 becomes infinite, which is refused below.
    with np.errstate(over="ignore"):
        network.assign(arrays)
    if not np.isfinite(network.parameters).all():
        raise ValueError(
            f"dtype must hold the source's weights, got {arguments['dtype']!r}. "
            "Use dtype='float64'."
        )
    rng = random_generator(estimator.random_state)
    model = Model(
        architecture, network, targets, vocabulary, arguments["solver"], None, History(), rng
    )
    if not isinstance(estimator, RNNLanguageModel):
        model.form = form
        model.loss = loss_arguments(arguments)
    estimator._adopt(model)
