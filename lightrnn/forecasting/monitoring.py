"""A forecaster at work: it follows a series value by value, and says which of them surprise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from .columns import columns_of
from .fitted import Fitted
from .forms import FrameForm
from .series import Panel
from .stream import ForecastStream


class Monitoring:
    """The methods of `RNNForecaster` for a series that goes on."""

    if TYPE_CHECKING:

        def _fitted(self) -> Fitted: ...
        def _panel(self, fitted: Fitted, y: Any, X: Any, start: Any = None) -> Panel: ...

    def warm(self) -> Self:
        """Load the machine code of forecasts, as `RNNRegressor.warm` does for predictions.

        Returns
        -------
        self : RNNForecaster
            The fitted forecaster.

        Raises
        ------
        NotFittedError
            If the forecaster was not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = np.sin(np.arange(40.0))
        >>> model = RNNForecaster(horizon=2, max_iter=2, random_state=0).fit(y).warm()
        """
        for net in self._fitted().nets:
            net.warm()
        return self

    def stream(
        self,
        y: Any = None,
        X: Any = None,
        *,
        level: Any = None,
        quantiles: Any = None,
        start: Any = None,
    ) -> ForecastStream:
        """Return a stream, which reads one value per call and forecasts those that follow.

        Parameters
        ----------
        y : array-like (T,) or Series, default=None
            The past of the series, which the stream goes on from. None: it begins with the first
            step.
        X : array-like (T,), (T, C) or DataFrame, default=None
            Covariates of the past, or with the horizon.
        level, quantiles : float or list of float, default=None
            What to forecast, as in `predict`.
        start : date, default=None
            Date of the first step, where the forecaster was fitted with dates and y has none.

        Returns
        -------
        stream : ForecastStream
            Its method ``step(value, x)`` returns what `predict` would for the series so far. It
            runs on the CPU.

        Raises
        ------
        NotFittedError
            If the forecaster was not fitted.
        ValueError, TypeError
            If an argument is invalid, if there is more than one series, or if the forecaster reads
            dates and has none.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = 10 + np.arange(60) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
        >>> stream = model.stream(y[:50])
        >>> bool((stream.step(y[50]) == model.predict(y[:51])).all())
        True
        """
        fitted = self._fitted()
        wanted = columns_of(level, quantiles, fitted.quantiles)
        panel = None if y is None else self._panel(fitted, y, X, start)
        if panel is not None and len(panel.values) != 1:
            raise ValueError(
                f"y must be one series, got {len(panel.values)}. Make one stream for each."
            )
        if panel is not None:
            fitted.encoding.covariates.check_ahead(panel, fitted.encoding.horizon)
        if panel is None and X is not None:
            raise ValueError("X must be None without y. Give covariates to the stream's steps.")
        form: Any = panel.form if panel else None
        if panel is None and start is not None:
            form = fitted.panel.form.begun(start)
        stream = ForecastStream(fitted, wanted, form if isinstance(form, FrameForm) else None)
        if panel is not None:
            stream.begin(panel)
        return stream

    def surprise(self, y: Any, X: Any = None) -> Any:
        """Say for each step where its value fell in the distribution forecast a step before.

        Parameters
        ----------
        y : as in `fit`
            Series.
        X : as in `fit`, default=None
            Covariates. Those ahead of a step are used if X is a horizon longer than y.

        Returns
        -------
        position : ndarray (T,), list of ndarray (T_i,), Series or DataFrame
            The probability of values below the one that came, in the form of y: 0.5 is no surprise,
            0 and 1 are the greatest. NaN for the first season, and where a value is missing.

        Raises
        ------
        NotFittedError
            If the forecaster was not fitted.
        ValueError, TypeError
            If y or X is invalid.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = np.arange(60) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
        >>> y[40] = 50.0
        >>> float(model.surprise(y)[40])
        1.0
        """
        fitted = self._fitted()
        panel = self._panel(fitted, y, X)
        fitted.encoding.covariates.check_ahead(panel, fitted.encoding.horizon)
        values = [fitted.positions(panel, index) for index in range(len(panel.values))]
        return panel.form.beside(values, "surprise")
