"""`Stream`: a fitted network that reads one step per call and answers at once.

A step costs the same time and memory however long the stream is. After each step the answer is, to
the last bit, the one that the estimator gives for the whole sequence so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import as_array, as_numbers, is_missing
from ..data.feature_names import column_names, require_same_names
from ..data.missing import Carried
from ..nn.stepper import Stepper
from ..utils.checks import integer, shown
from .outputs import overflow

if TYPE_CHECKING:
    from ..data.form import Form
    from ..data.tokens import Vocabulary
    from .model import Model

_ONE = " Give those of a text one by one."
Answer = Callable[[np.ndarray], Any]


class Stream:
    """One sequence, or several in parallel, read step by step; made by ``estimator.stream()``.

    A stream has copies of the estimator's weights, so further fitting does not change it. A stream
    belongs to one thread at a time. It is not copied or pickled: its `snapshot` is.

    Parameters
    ----------
    model : lightrnn.estimators.model.Model
        State of a fitted estimator.
    n_streams : int >= 1 or None
        Number of sequences in parallel; None for one, whose steps have no axis for it.
    answer : callable or None
        Function from raw outputs to the answer; None answers with the state of the last layer.
    start : int or None, default=None
        Token code that is read before the first step.

    Attributes
    ----------
    n_streams : int or None
        Number of sequences in parallel; None for one, whose steps have no axis for it.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> model = RNNRegressor("gru", (8,), max_iter=2, random_state=0)
    >>> stream = model.fit(X, X[:, -1, 0]).stream()
    >>> answers = [stream.step(x) for x in X[0]]
    >>> bool(answers[-1] == model.predict(X[:1])[0])
    True
    """

    def __init__(
        self, model: Model, n_streams: int | None, answer: Answer | None, start: int | None = None
    ) -> None:
        self.n_streams = None if n_streams is None else integer("n_streams", n_streams, 1)
        self._count = self.n_streams or 1
        # A single stream reads and answers without the axis for several.
        self._rows: Any = 0 if n_streams is None else slice(None)
        stepper = Stepper(model.network, self._count)
        self._stepper = stepper
        self._states = stepper.states  # all that a snapshot holds
        self._vocabulary = model.vocabulary
        form = model.form
        # The columns of a table are steps, which a stream reads one by one.
        self._feature_names = None if form is None or form.is_table else form.feature_names
        self._views = {name: view[self._rows] for name, view in _views(stepper).items()}
        self._advance = stepper.advance
        self._inputs = stepper.inputs[self._rows]  # (F,) or (n_streams, F)
        self._shape = self._inputs.shape
        self._dtype = self._inputs.dtype
        self._write: Callable[[np.ndarray], None] = partial(np.copyto, self._inputs)
        self._read_dtype = self._dtype
        if model.network.standardization is not None:
            self._write = stepper.write
            # All digits are kept until the mean has been subtracted.
            self._read_dtype = np.dtype(np.float64)
        self._dtypes = {self._dtype, self._read_dtype}  # of numbers that need no conversion
        self._carried: Carried | None = None
        if form is not None and form.fill is not None:
            self._carry(form, form.fill)
        # The array that holds every step's output; None if it must be computed from the state.
        fixed = stepper.features if answer is None else stepper.fixed_outputs
        self._fixed = None if fixed is None else fixed[self._rows]
        # A copy, because the next step overwrites the state.
        self._answer: Answer = answer or np.copy
        if start is not None:
            stepper.take(np.full(self._count, start))
        self._rest = self.snapshot()  # for `reset`: the state after the start token

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled: a copy would go on with this stream's state."""
        raise TypeError(
            "A stream cannot be copied or pickled: it holds addresses of machine code. Pickle the "
            "estimator and a snapshot."
        )

    def step(self, x: Any) -> Any:
        """Read the next step and answer.

        Parameters
        ----------
        x : array-like (F,), or with `n_streams` (n_streams, F); or a token, or a list of n_streams
            The next input of each sequence; numbers must be finite, or with ``missing="mask"`` NaN.

        Returns
        -------
        answer : label, number or ndarray (k,); with `n_streams` ndarray (n_streams, ...)
            Result of the estimator's method for the sequence so far.

        Raises
        ------
        ValueError, TypeError
            If x has another shape, holds NaN or infinity, is not a token, or if the network
            overflows on it. The stream is then as it was before the call.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=2, random_state=0).fit(["abc"] * 5)
        >>> model.stream().step("a").shape
        (5,)
        """
        if self._vocabulary is not None:
            self._stepper.read(self._codes(x))
        # What needs no conversion is by far the most frequent, and must cost nothing.
        elif type(x) is np.ndarray and x.shape == self._shape and x.dtype in self._dtypes:
            self._write(x)
        else:
            self._write(self._numbers(x))
        answer = self._answer(self._outputs())
        if self._carried is not None:
            self._carried.keep()
        return answer

    def _carry(self, form: Form, fill: np.ndarray) -> None:
        """Let NaN stand for missing values."""
        carried = self._carried = Carried(fill, self._count)
        parts = {"last_value": carried.last, "elapsed": carried.elapsed}
        self._views |= {name: part[self._rows] for name, part in parts.items()}
        self._states = [*self._states, *parts.values()]
        self._shape = (*self._shape[:-1], form.step_features)
        self._read_dtype = np.dtype(np.float64)
        self._dtypes = set()  # all steps are made into columns

    def _outputs(self) -> np.ndarray:
        """Let the network read the step that was written; return the outputs, or the state."""
        if self._advance():
            raise ValueError(self._refusal())
        # Where the outputs are always at the same place, nothing is left to compute.
        fixed = self._fixed
        return self._stepper.outputs()[self._rows] if fixed is None else fixed

    def _refusal(self) -> str:
        """Return why the step that was just tried is refused."""
        bad = self._inputs[~np.isfinite(self._inputs)]
        if bad.size:
            return self._not_finite(bad)
        return f"x must give finite outputs, but {overflow(self._inputs, self._dtype)}"

    def _not_finite(self, bad: np.ndarray) -> str:
        """Return why numbers are refused that are not finite."""
        remedy = "Rescale it, or leave the step out."
        if np.isnan(bad[0]):
            remedy = "Leave the step out, fill it in, or fit with missing='mask', which takes NaN."
        return f"x must be finite in {self._dtype}, got {shown(float(bad[0]))}. {remedy}"

    def _numbers(self, x: Any) -> np.ndarray:
        """Return numbers of any other form, checked and converted."""
        shape = self._shape
        names = column_names(x, "columns" if hasattr(x, "columns") else "index")
        if names is not None and self._feature_names is not None:
            require_same_names(self._feature_names, names)
        # A number by itself is a step of one feature.
        alone = isinstance(x, Number) or (shape == (1,) and is_missing(x))
        try:
            array = as_numbers(np.atleast_1d(as_array([x] if alone else x, "x", "")), "x")
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"x must be numbers, got {shown(x)}. Give one step's features."
            ) from error
        with np.errstate(all="ignore"):  # `step` refuses infinity
            values = array.astype(self._read_dtype)
        if values.shape != shape:
            raise ValueError(
                f"x must have the shape {shape}, got {shown(values)}. Give one step"
                f"{'' if self.n_streams is None else ' of each stream'}; "
                "predict takes whole sequences."
            )
        if self._carried is not None:
            columns = self._carried.columns(values.reshape(self._count, -1))
            return np.asarray(columns[self._rows])
        return values

    def _codes(self, x: Any) -> np.ndarray:
        """Return the code of one token of each stream."""
        vocabulary: Any = self._vocabulary
        tokens = [x] if self.n_streams is None else x
        if not isinstance(tokens, (list, tuple, np.ndarray)) or len(tokens) != self._count:
            raise ValueError(
                f"x must be {self._count} tokens, got {shown(x)}. "
                "Give one for each stream, in a list."
            )
        return np.concatenate([_code(token, vocabulary) for token in tokens])

    # -- state ------------------------------------------------------------------------------------

    def reset(self, index: int | None = None) -> None:
        """Return to the state before the first step.

        Parameters
        ----------
        index : int or None, default=None
            Number of the stream to reset; None resets all.

        Raises
        ------
        ValueError
            If there is no such stream.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = np.random.default_rng(0).normal(size=(5, 4, 2))
        >>> model = RNNRegressor("rnn", (3,), max_iter=2, random_state=0)
        >>> stream = model.fit(X, X[:, -1, 0]).stream()
        >>> first = stream.step(X[0, 0])
        >>> stream.reset()
        >>> bool(stream.step(X[0, 0]) == first)
        True
        """
        rows: Any = slice(None) if index is None else integer("index", index, 0, self._count - 1)
        for state, rest in zip(self._states, self._rest, strict=True):
            state[rows] = rest[rows]

    @property
    def state(self) -> dict[str, np.ndarray]:
        """Copies of the state by name, each (H,), or with `n_streams` (n_streams, H).

        The names are "layer0.h", for an LSTM also "layer0.c", "layer1.h" and so on. An "ffnn" has
        "inputs", its last window - 1 inputs one after another. With `pooling` there are
        "pooling.h", the pooled state, "pooling.weight" (1,), the number of steps or for attention
        the sum of their weights, and for attention "pooling.score" (1,), the greatest score, that
        of weight 1. Where the network reads patches, "patch" holds the steps of the one that is not
        whole yet, and "patch_steps" their number. With ``missing="mask"`` there are "last_value",
        the last value of each feature, and "elapsed", the number of steps since. Assigning such a
        dict sets the state.
        """
        return {name: view.copy() for name, view in self._views.items()}

    @state.setter
    def state(self, values: Mapping[str, Any]) -> None:
        views = self._views
        if not isinstance(values, Mapping) or set(values) != set(views):
            given = sorted(values, key=str) if isinstance(values, Mapping) else values
            raise ValueError(
                f"state must hold {', '.join(views)}, got {shown(given)}. Change a copy of state."
            )
        names = {f"state[{name!r}]": values[name] for name in views}
        self._set(list(views.values()), names, "Change a copy of state.")

    def snapshot(self) -> tuple[np.ndarray, ...]:
        """Return a copy of the whole state, for `restore`.

        Returns
        -------
        snapshot : tuple of ndarray
            It can be restored in this stream, and in others of the same network and number of
            sequences.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = np.random.default_rng(0).normal(size=(5, 4, 2))
        >>> model = RNNRegressor("rnn", (3,), max_iter=2, random_state=0)
        >>> stream = model.fit(X, X[:, -1, 0]).stream()
        >>> answer, snapshot = stream.step(X[0, 0]), stream.snapshot()
        >>> changed = stream.step(X[0, 1])
        >>> stream.restore(snapshot)
        >>> bool(stream.step(X[0, 1]) == changed)
        True
        """
        return tuple(state.copy() for state in self._states)

    def restore(self, snapshot: tuple[np.ndarray, ...]) -> None:
        """Return to the state in which a snapshot was taken.

        Parameters
        ----------
        snapshot : tuple of ndarray
            Result of `snapshot`.

        Raises
        ------
        ValueError
            If it is of another network, or of another number of streams, or not finite. The stream
            is then as it was before the call.

        Examples
        --------
        See `snapshot`.
        """
        states = self._states
        shapes = [state.shape for state in states]
        is_tuple = isinstance(snapshot, tuple)
        if not is_tuple or [getattr(part, "shape", None) for part in snapshot] != shapes:
            raise ValueError(
                f"snapshot must be one of this network's streams, got {shown(snapshot)}. "
                "Use `state`."
            )
        parts = {f"snapshot[{i}]": part for i, part in enumerate(snapshot)}
        self._set(states, parts, "It must be one of this network's streams; use `state`.")

    def _set(self, states: list[np.ndarray], given: dict[str, Any], remedy: str) -> None:
        """Set states to arrays by the names that messages give them, all or none of them."""
        arrays = []
        for state, (name, value) in zip(states, given.items(), strict=True):
            try:
                array = np.asarray(value)
            except ValueError:  # ragged
                array = np.asarray(None)
            is_real = array.dtype.kind in "biuf" and array.shape == state.shape
            with np.errstate(all="ignore"):  # infinity is refused
                array = array.astype(state.dtype) if is_real else array
            if not is_real or not np.isfinite(array).all():
                raise ValueError(
                    f"{name} must be finite numbers of shape {state.shape} in {state.dtype}, got "
                    f"{shown(value)}. {remedy}"
                )
            arrays.append(array)
        for state, array in zip(states, arrays, strict=True):
            state[:] = array


def check_direction(model: Model, given: Any) -> None:
    """Raise a ValueError for a network that also reads backward, whatever argument was given."""
    if not model.architecture.get("bidirectional"):
        return
    remedy = "patch=1"  # "auto" chose both directions for the patches that it chose
    if given is True:
        remedy = "bidirectional=False"
        if model.form is not None and model.form.patch > 1:
            remedy += ", and with patch=1 for an answer at each step"
    raise ValueError(
        "bidirectional must be False for a stream, got True. The backward direction begins "
        f"at the end, which a stream has not reached; fit with {remedy}."
    )


def _code(token: Any, vocabulary: Vocabulary) -> np.ndarray:
    """Return the code of an object that must be one token, (1,)."""
    kind = vocabulary.kind
    text = kind != "category"
    types: Any = str if text else (str, int, np.integer)
    if isinstance(token, bool) or not isinstance(token, types):
        raise TypeError(
            f"x must be a token, {'str' if text else 'str or integer'}, got {shown(token)}.{_ONE}"
        )
    codes = vocabulary.encode(str(token) if text else [token])
    if len(codes) != 1:
        raise ValueError(f"x must be one {kind}, got {shown(token)}.{_ONE}")
    return codes


def _views(stepper: Stepper) -> dict[str, np.ndarray]:
    """Return a view of each part of the state by name, (n_streams, H), without its padding."""
    network = stepper.network
    views = {}
    if not network.recurrent:
        # The window's last F columns are the current input, which is not part of the state.
        F = stepper.inputs.shape[1]
        views["inputs"] = stepper.states[0][:, :-F]
    else:
        for (layer, *_), state in zip(network.levels, stepper.states, strict=False):
            for position, name in enumerate(layer.cell.states):
                start = position * layer.width
                # (n_streams, H): a state is as wide as whole SIMD registers, the rest is padding.
                views[f"{layer.name}.{name}"] = state[:, start : start + layer.units]
    if network.pooling:
        views |= network.pooling.views(stepper.states[-1])
    return views
