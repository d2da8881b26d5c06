"""`PatchStream`: a stream of a network that reads patches of steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..utils.checks import shown
from .model import Model
from .streams import Answer, Stream

_COUNT = "patch_steps"  # name of the part of the state that counts
_FINITE_SQUARE = 1e76  # of a number that is finite in float32


class PatchStream(Stream):
    """A stream that answers after each whole patch, and returns None in between.

    Streams in parallel that have been reset one by one may be at different steps of their patches.
    Then a step returns a list, with None for those whose patch is not whole.

    Parameters
    ----------
    model, n_streams, answer
        As of `Stream`.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> model = RNNRegressor("gru", (8,), patch=5, max_iter=2, learning_rate="cosine")
    >>> stream = model.fit(X, X[:, -1, 0]).stream()
    >>> answers = [stream.step(x) for x in X[0]]
    >>> [answer is None for answer in answers[:5]]
    [True, True, True, True, False]
    >>> bool(answers[-1] == model.predict(X[:1])[0])
    True
    """

    def __init__(self, model: Model, n_streams: int | None, answer: Answer | None) -> None:
        super().__init__(model, n_streams, answer)
        form: Any = model.form
        self._patch = form.patch
        F = form.step_columns
        self._shape = (*self._shape[:-1], form.step_features)
        # Of each stream the steps of a patch that is not whole yet, zeros behind them, and their
        # number.
        self._steps = np.zeros((self._count, self._patch - 1, F), self._read_dtype)
        self._counts = np.zeros(self._count, np.int64)
        parts = {"patch": self._steps.reshape(self._count, -1), _COUNT: self._counts[:, None]}
        self._views |= {name: part[self._rows] for name, part in parts.items()}
        self._each = np.arange(self._count)
        self._states = [*self._states, *parts.values()]
        self._rest = self.snapshot()

    def step(self, x: Any) -> Any:
        """Read the next step, and answer if a patch is whole.

        Parameters
        ----------
        x : array-like (F,), or with `n_streams` (n_streams, F)
            The next step of each sequence; numbers must be finite.

        Returns
        -------
        answer : label, number or ndarray (k,); with `n_streams` ndarray (n_streams, ...); or None
            Result of the estimator's method for the sequence so far; None within a patch. Of
            streams that are at different steps of their patches a list, with None for some.

        Raises
        ------
        ValueError, TypeError
            As `Stream.step`.

        Examples
        --------
        See `PatchStream`.
        """
        values = self._checked(x).reshape(self._count, -1)
        # As a list, since for a few numbers NumPy's comparison takes longer than all the rest.
        if self._patch - 1 not in self._counts.tolist():
            self._steps[self._each, self._counts] = values
            self._counts += 1
            answer = None
        else:
            answer = self._read_whole(values)
        if self._carried is not None:
            self._carried.keep()
        return answer

    def _read_whole(self, values: np.ndarray) -> Any:
        """Take a step with which some patches are whole, and answer."""
        whole = self._counts == self._patch - 1
        rest = np.flatnonzero(~whole)
        answer = self._advanced(values, whole, rest)
        # Only now, since nothing changes if the network refuses a patch.
        self._steps[whole] = 0
        self._counts[whole] = 0
        self._steps[rest, self._counts[rest]] = values[rest]
        self._counts[rest] += 1
        return answer

    def _checked(self, x: Any) -> np.ndarray:
        """Return finite numbers."""
        plain = type(x) is np.ndarray and x.shape == self._shape and x.dtype in self._dtypes
        values: np.ndarray = x if plain else self._numbers(x)
        # Almost always the sum of squares shows that all are finite, fastest.
        if not float(np.vdot(values, values)) < _FINITE_SQUARE:
            with np.errstate(over="ignore"):
                finite = np.isfinite(values.astype(self._dtype))
            if not finite.all():
                raise ValueError(self._not_finite(values[~finite]))
        return values

    def _advanced(self, values: np.ndarray, whole: np.ndarray, rest: np.ndarray) -> Any:
        """Let the network read the patches that are whole with these steps, and answer."""
        patches = np.concatenate([self._steps.reshape(self._count, -1), values], axis=1)
        self._write(patches[self._rows])
        if not len(rest):
            return self._answer(self._outputs())
        # All streams advance; the rest then goes back.
        stepper = self._stepper
        kept = [state[rest] for state in stepper.states]
        stepper.inputs[rest] = 0
        outputs = self._outputs()
        for state, rows in zip(stepper.states, kept, strict=True):
            state[rest] = rows
        answers = iter(self._answer(outputs[whole]))
        return [next(answers) if is_whole else None for is_whole in whole.tolist()]

    def _set(self, states: list[np.ndarray], given: dict[str, Any], remedy: str) -> None:
        name, counts = list(given.items())[-1]
        if not all(n in range(self._patch) for n in np.asarray(counts, object).ravel().tolist()):
            raise ValueError(
                f"{name} must be an integer from 0 to {self._patch - 1}, got {shown(counts)}. "
                f"{remedy}"
            )
        super()._set(states, given, remedy)
