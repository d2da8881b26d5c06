"""Streams: a fitted network that is fed one step at a call, and answers at once.

A step costs the same however long the stream is, in time and in memory. Fed step by step a network answers, to the last
bit, what it says of the whole sequence so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.tokens import split
from ..nn.stepper import Stepper
from ..utils.checks import integer, shown

if TYPE_CHECKING:
    from .model import Model

_ONE = " Give those of a text one by one."
Answer = Callable[[np.ndarray], Any]


class Stream:
    """One sequence, or several in parallel, that come step by step; made by ``estimator.stream()``.

    It has copies of the estimator's weights: fitting this on does not change a stream that runs. A stream belongs to
    one thread at a time.

    Attributes
    ----------
    n_streams : int or None
        Sequences in parallel; None for one, whose steps come without an axis for it.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> net = RNNRegressor("gru", (8,), max_iter=2, learning_rate="cosine", random_state=0).fit(X, X[:, -1, 0])
    >>> stream = net.stream()
    >>> answers = [stream.step(x) for x in X[0]]
    >>> bool(answers[-1] == net.predict(X[:1])[0])
    True
    """

    def __init__(
        self, model: Model, n_streams: int | None, answer: Answer | None, start: int | None = None
    ) -> None:
        self._count = 1 if n_streams is None else integer("n_streams", n_streams, 1)
        self.n_streams = None if n_streams is None else self._count
        self._stepper, self._vocabulary = Stepper(model.network, self._count), model.vocabulary
        self._names = _names(model)
        self._advance = self._stepper.advance
        # One stream reads and answers without the axis that several have.
        single = n_streams is None
        rows = self._stepper.inputs
        self._inputs = rows[0] if single else rows
        self._shape, self._dtype = self._inputs.shape, rows.dtype
        self._fixed = self._fixed_output(answer, single)
        self._answer: Answer = answer or np.copy
        if start is not None:
            self._stepper.read(np.full(self._count, start))
            self._advance()
        self._rest = self.snapshot()

    def _fixed_output(self, answer: Answer | None, single: bool) -> np.ndarray | None:
        """Return the rows in which every step's output stands; None if they must be computed."""
        rows = self._stepper.features if answer is None else self._stepper.fixed_outputs
        return rows if rows is None or not single else rows[0]

    def step(self, x: Any) -> Any:
        """Take the next step and answer.

        Parameters
        ----------
        x : array-like (F,), or with `n_streams` (n_streams, F); a token, or n_streams of them
            The next input of each sequence; numbers are finite.

        Returns
        -------
        What the estimator's method says of the sequence so far: a label, a number, an array (k,); with `n_streams` an
        array of one for each.

        Raises
        ------
        ValueError, TypeError
            If x has another shape, holds NaN or infinity, or is no token; the stream has then not moved.
        """
        if self._vocabulary is not None:
            self._stepper.read(self._codes(x))
        elif type(x) is np.ndarray and x.shape == self._shape and x.dtype == self._dtype:
            self._inputs[...] = x
        else:
            self._inputs[...] = self._numbers(x)
        if not self._advance():
            raise ValueError(
                f"x must be finite in {self._dtype}, got {shown(self._first_bad())}. Leave the step out, or fill it in."
            )
        fixed = self._fixed
        return self._answer(self._computed() if fixed is None else fixed)

    def _computed(self) -> np.ndarray:
        rows = self._stepper.outputs()
        return rows[0] if self.n_streams is None else rows

    def _numbers(self, x: Any) -> np.ndarray:
        """Check numbers of any other form."""
        try:
            array = np.asarray(x)
            with np.errstate(over="ignore"):  # infinity is refused further on
                numbers = array.astype(self._dtype) if array.dtype.kind in "biuf" else None
        except (TypeError, ValueError):
            numbers = None
        if numbers is None:
            raise TypeError(f"x must be numbers, got {shown(x)}. Give one step's features.")
        if numbers.shape != self._shape and not (numbers.ndim == 0 and self._shape == (1,)):
            raise ValueError(
                f"x must have the shape {self._shape}, got {shown(numbers)}. Give one step"
                f"{'' if self.n_streams is None else ' of each stream'}; predict takes whole sequences."
            )
        return numbers

    def _codes(self, x: Any) -> np.ndarray:
        """Encode one token of each stream."""
        vocabulary: Any = self._vocabulary
        tokens = [x] if self.n_streams is None else x
        if not isinstance(tokens, (list, tuple, np.ndarray)) or len(tokens) != self._count:
            raise ValueError(
                f"x must be {self._count} tokens, got {shown(x)}. Give one for each stream, in a list."
            )
        text = vocabulary.kind != "category"
        for token in tokens:
            if isinstance(token, bool) or not isinstance(
                token, str if text else (str, int, np.integer)
            ):
                raise TypeError(
                    f"x must be a token, {'str' if text else 'str or integer'}, got {shown(token)}.{_ONE}"
                )
            if text and len(split(str(token), vocabulary.kind)) != 1:
                raise ValueError(f"x must be one {vocabulary.kind}, got {shown(token)}.{_ONE}")
        codes = [
            vocabulary.codes.get(token if isinstance(token, str) else int(token), 0)
            for token in tokens
        ]
        return np.array(codes)

    def _first_bad(self) -> float:
        return float(self._inputs[~np.isfinite(self._inputs)].flat[0])

    # -- state --------------------------------------------------------------------------------------------------------

    def reset(self, index: int | None = None) -> None:
        """Begin anew.

        Parameters
        ----------
        index : int, optional
            Only this one of `n_streams`; by default all.

        Raises
        ------
        ValueError
            If there is no such stream.
        """
        rows: Any = slice(None) if index is None else integer("index", index, 0, self._count - 1)
        for state, rest in zip(self._stepper.states, self._rest, strict=True):
            state[rows] = rest[rows]

    @property
    def state(self) -> dict[str, np.ndarray]:
        """Copies of what is remembered, by name, each (H,), or (n_streams, H).

        "layer0.h", for an lstm "layer0.c" too, "layer1.h" and so on; of a feed-forward net "inputs", the rows of its
        last window - 1 inputs one after another. Assigning such a dict sets them.
        """
        return {
            name: np.array(view[0] if self.n_streams is None else view)
            for name, view in self._views()
        }

    @state.setter
    def state(self, values: Mapping[str, Any]) -> None:
        views = dict(self._views())
        if set(values) != set(views):
            raise ValueError(
                f"state must hold {', '.join(views)}, got {shown(sorted(values))}. Change a copy of state."
            )
        given = {name: np.asarray(value) for name, value in values.items()}
        for name, view in views.items():
            wanted, array = view.shape[1:] if self.n_streams is None else view.shape, given[name]
            if (
                array.dtype.kind not in "biuf"
                or array.shape != wanted
                or not np.isfinite(array).all()
            ):
                raise ValueError(
                    f"state[{name!r}] must be finite numbers of shape {wanted}, got {shown(given[name])}. "
                    "Change a copy of state."
                )
        for name, view in views.items():
            view[:] = given[name]

    def _views(self) -> list[tuple[str, np.ndarray]]:
        """Return each part of the state without its padding."""
        if not self._stepper.network.recurrent:
            F = self._stepper.inputs.shape[1]
            return [("inputs", self._stepper.states[0][:, :-F])]
        return [
            (name, self._stepper.states[k][:, start:stop]) for name, k, start, stop in self._names
        ]

    def snapshot(self) -> tuple[np.ndarray, ...]:
        """Return the state in a form to be given back to `restore`, of this or another stream of the same network."""
        return tuple(state.copy() for state in self._stepper.states)

    def restore(self, snapshot: tuple[np.ndarray, ...]) -> None:
        """Go back to where `snapshot` was taken.

        Raises
        ------
        ValueError
            If it is of another network, or of another number of streams.
        """
        states = self._stepper.states
        fits = isinstance(snapshot, tuple) and [np.shape(part) for part in snapshot] == [
            s.shape for s in states
        ]
        if not fits:
            raise ValueError(
                f"snapshot must be one of this network's streams, got {shown(snapshot)}. Use `state`."
            )
        for state, part in zip(states, snapshot, strict=True):
            state[:] = part


def _names(model: Model) -> list[tuple[str, int, int, int]]:
    """Where each state is: (name, layer, first column, last column)."""
    layers = [level[0] for level in model.network.levels]
    return [
        (f"{layer.name}.{name}", k, z * layer.width, z * layer.width + layer.units)
        for k, layer in enumerate(layers)
        for z, name in enumerate(layer.cell.states)
    ]
