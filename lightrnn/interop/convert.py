"""`from_torch` and `from_keras`: a network that another framework has trained, as an estimator, without that."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..data.dataset import Data
from ..data.samples import Samples
from ..data.sequences import Sequences
from ..data.tokens import Vocabulary
from ..estimators import RNNClassifier, RNNRegressor
from ..estimators.arguments import checked
from ..estimators.language import RNNLanguageModel
from ..estimators.model import Model, build_network
from ..training.history import History
from ..utils.checks import flag, random_generator, shown
from . import keras, tensor_files, torch
from .adapt import Meaning, classifier_head, language_head, read_vocabulary, regressor_head
from .foreign import ForeignNetwork

E = TypeVar("E", RNNClassifier, RNNRegressor, RNNLanguageModel)
_HEADS = {"classifier": classifier_head, "regressor": regressor_head}


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

    The network is an nn.LSTM, nn.GRU or nn.RNN (tanh), of any depth, bidirectional or not, with an nn.Linear on top and
    perhaps an nn.Embedding below. With target="sequence" the linear layer must read the final state, as ``h_n`` has it:
    of a bidirectional network ``torch.cat([h_n[-2], h_n[-1]], dim=1)``. A bidirectional model that reads
    ``output[:, -1]`` is another function, which sees of the last layer's backward direction one step alone; it is not
    this one, though its weights look the same. Nor is a model that reads padded steps, or applies a function of its
    own between the layers; weights do not tell. An nn.RNN is taken to have tanh, torch's default.

    Parameters
    ----------
    source : path, mapping of str to array or tensor, or nn.Module
        A ``.safetensors`` file; a ``.pt`` file of ``torch.save(model.state_dict(), path)``, also within a checkpoint's
        dict; a state_dict of tensors or arrays; or the module itself. Nothing that a file names is executed.
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Says what the network is for: its target, its dtype, and all that training on takes. It is not changed.
        `cell`, `hidden_layer_sizes`, `bidirectional`, `embedding_size` and `tokens` come from the source.
    classes : array-like (k,), optional
        Labels of the outputs, in their order; by default 0 to k - 1. A single output is a binary classifier's logit:
        the two classes get the outputs 0 and z, since softmax([0, z]) is sigmoid(z).
    vocabulary : sequence of str or int (V,), optional
        The token of each row of the embedding, in their order; by default the integers from 0 on. "<unknown>" is the
        row of all tokens that are not listed; it becomes row 0. Where there is none, a row of zeros is put before the
        others. A row for padding (``padding_idx``) is a token like others, which never occurs. A language model needs a
        vocabulary, with "<unknown>", and with "<end>" for what precedes and ends every text.
    multilabel : bool
        Whether every output of a classifier is a label of its own, with a sigmoid.
    recurrent : str or sequence of str, optional
        Name of the recurrent module, or of several from first to last. By default those found, if their names differ
        by a number at most (``lstm1``, ``lstm2``).
    head, embedding : str, optional
        Names of the linear layer and of the embedding. By default the only module with a bias, and the only one with a
        weight alone.

    Returns
    -------
    estimator of the given class
        A new one, fitted: it predicts, can be saved, and goes on with `partial_fit` or `warm_start`, with a solver that
        starts anew. A regressor's outputs are the network's, in its dtype; `n_iter_` is 0.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source or the estimator is of another kind.
    ValueError
        If a weight is missing, misshapen, not finite or left over; if the network has what is not computed here:
        projections, peepholes, several linear layers, and, where the source is the module, which alone tells, an
        nn.RNN with ReLU or another layer of torch's; if a file is damaged; or if an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier, from_torch
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"gru.weight_ih_l0": (12, 3), "gru.weight_hh_l0": (12, 4), "gru.bias_ih_l0": (12,)}
    >>> shapes |= {"gru.bias_hh_l0": (12,), "fc.weight": (2, 4), "fc.bias": (2,)}
    >>> state_dict = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    >>> model = from_torch(state_dict, RNNClassifier(), classes=["no", "yes"])
    >>> model
    RNNClassifier(cell='gru', hidden_layer_sizes=(4,))
    >>> model.predict_proba([rng.normal(size=(5, 3))]).shape
    (1, 2)
    """
    _check_estimator(estimator)
    state = torch.state_of(
        tensor_files.read_tensors(source) if isinstance(source, (str, os.PathLike)) else source
    )
    tied = bool(getattr(estimator, "tie_weights", False))
    found = torch.read_torch(state, recurrent=recurrent, head=head, embedding=embedding, tied=tied)
    return _fitted(estimator, found, Meaning(classes, vocabulary, flag("multilabel", multilabel)))


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
    """Turn a network that Keras 3 has trained into a fitted estimator; h5py is needed, Keras is not.

    The network is a chain: perhaps an Embedding, then LSTM, GRU (``reset_after=True``) or SimpleRNN layers with their
    default activations, each in a Bidirectional (``merge_mode="concat"``) or none, and a Dense. Masking and
    ``mask_zero`` leave padding out; here sequences have their own lengths and no padding.

    Parameters
    ----------
    source : path
        A ``.keras`` file, whose configuration is checked; or a ``.weights.h5`` file, which holds arrays alone, so that
        other activations, a ``merge_mode`` or ``go_backwards`` go unnoticed. The state of Keras's optimizer is not
        read. HDF5 is read by h5py, a C library: open files of people you trust.
    estimator, classes, vocabulary, multilabel
        As in `from_torch`. A ``.keras`` file also says the estimator's `target` (by ``return_sequences``), and by the
        Dense layer's activation whether a classifier is multilabel.
    recurrent, head, embedding : str, or sequence of str for the first, optional
        As in `from_torch`; the paths in the HDF5 file, such as "layers/lstm".

    Returns
    -------
    estimator of the given class
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
        As in `from_torch`; if a layer, an activation or another setting is not computed here, a GRU with
        ``reset_after=False`` for example.

    Examples
    --------
    ::

        model.save("model.keras")  # where Keras is
        estimator = lightrnn.from_keras("model.keras", RNNClassifier(), classes=["no", "yes"])  # where it is not
    """
    _check_estimator(estimator)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source must be a path, got {shown(source)}. Save the model: model.save('model.keras')."
        )
    found = keras.read_keras(
        keras.read_file(source), recurrent=recurrent, head=head, embedding=embedding
    )
    return _fitted(estimator, found, Meaning(classes, vocabulary, flag("multilabel", multilabel)))


def _check_estimator(estimator: Any) -> None:
    """Refuse what is none of ours."""
    if not isinstance(estimator, (RNNClassifier, RNNRegressor, RNNLanguageModel)):
        raise TypeError(
            "estimator must be an RNNClassifier, RNNRegressor or RNNLanguageModel, got "
            f"{shown(estimator)}. Pass one with the arguments that it shall have: RNNClassifier()."
        )


def _fitted(estimator: E, found: ForeignNetwork, meaning: Meaning) -> E:
    """Return a new estimator with a foreign network."""
    result: Any = _unfitted(estimator, found)
    language = isinstance(result, RNNLanguageModel)
    tokens = checked({"tokens": result.tokens})["tokens"]
    vocabulary, rows = read_vocabulary(found, meaning.vocabulary, tokens, language=language)
    if vocabulary is not None:
        result.set_params(tokens=vocabulary.kind)
    arrays = found.layers()
    if found.embedding is not None:
        arrays["embedding.W"] = np.vstack([found.embedding, np.zeros(found.embedding.shape[1])])[
            rows
        ]
    if language:
        head = language_head(found, meaning, rows, tied=result.tie_weights)
    else:
        step, dtype = result.target == "step", checked({"dtype": result.dtype})["dtype"]
        head = _HEADS[result._kind](found, meaning, step, dtype)
    arrays |= {"head.b": head.b} | ({} if head.W is None else {"head.W": head.W})
    _adopt(result, found, arrays, head.targets, vocabulary)
    return result


def _unfitted(estimator: E, found: ForeignNetwork) -> E:
    """Copy an estimator's arguments, with those that the source determines."""
    arguments = estimator.get_params(deep=False)
    arguments |= {"cell": found.cell, "hidden_layer_sizes": found.sizes}
    arguments["random_state"] = copy.deepcopy(arguments["random_state"])
    if found.embedding is not None:
        arguments["embedding_size"] = found.n_features
    if isinstance(estimator, RNNLanguageModel):
        return type(estimator)(**arguments | _language_arguments(arguments, found))
    arguments["target"] = found.target or arguments["target"]
    return type(estimator)(**arguments | {"bidirectional": found.bidirectional})


def _language_arguments(arguments: dict[str, Any], found: ForeignNetwork) -> dict[str, Any]:
    """Check that a network can be a language model's; return the arguments that follow."""
    if found.bidirectional or found.target == "sequence":
        raise ValueError(
            "source must read forward and have an output for every step to be an RNNLanguageModel, got "
            f"{'a bidirectional network' if found.bidirectional else 'one output a sequence'}. Use RNNClassifier."
        )
    if arguments["output"] == "adaptive":
        raise ValueError(
            "output must be 'auto' or 'softmax', got 'adaptive'. The source has one linear layer."
        )
    return {"output": "softmax"}


def _adopt(
    estimator: Any,
    found: ForeignNetwork,
    arrays: Mapping[str, np.ndarray],
    targets: Any,
    vocabulary: Vocabulary | None,
) -> None:
    """Build the model and make it the estimator's own."""
    sequences = Sequences([], np.zeros(0, np.int64), 1 if vocabulary else found.n_features)
    if isinstance(estimator, RNNLanguageModel):
        arguments = estimator._checked()
        architecture = estimator._architecture(arguments, len(vocabulary or ()))
    else:
        arguments = checked(estimator.get_params(deep=False))
        nothing = Data(sequences, targets, Samples([], sequences.lengths, [], []), [], vocabulary)
        architecture = estimator._architecture(arguments, nothing)
    network = build_network(architecture)
    with np.errstate(over="ignore"):
        network.assign(arrays)
    if not np.isfinite(network.parameters).all():
        raise ValueError(
            f"dtype must hold the source's weights, got {arguments['dtype']!r}. Use dtype='float64'."
        )
    rng = random_generator(estimator.random_state)
    model = Model(
        architecture, network, targets, vocabulary, arguments["solver"], None, History(), rng
    )
    if isinstance(estimator, RNNLanguageModel):
        estimator._adopt(model)
    else:
        estimator._finish(model, sequences)
