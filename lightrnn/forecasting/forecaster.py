"""`RNNForecaster`: the next steps of one series or of many, with intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..base import BaseEstimator, check_is_fitted
from ..estimators.declarations import checked, declared
from ..estimators.documentation import documented
from ..estimators.estimator import Arguments
from ..estimators.persistence import READERS
from ..utils import checks
from ..utils.files import StrPath
from .alignment import with_covariates
from .arguments import ForecastArguments
from .attributes import FittedAttributes
from .backtest import Backtest, check_lengths, joined, mean_of
from .columns import columns_of
from .fitted import Fitted
from .fitting import learn
from .forms import FrameForm
from .monitoring import Monitoring
from .persistence import as_tree, from_tree
from .series import Panel, read_panel


@documented
@dataclass(repr=False, eq=False)
class RNNForecaster(ForecastArguments, FittedAttributes, Monitoring, BaseEstimator):
    """Forecast series by a recurrent network that learns from all of them, and from every step.

    y is one series (T,), or a list of series of any lengths (T_i,). The network is trained to say
    all steps of the horizon at once, at each step of each series [8]_, as quantiles. Intervals are
    calibrated on the last windows of the series, which training first leaves out [9]_,
    and wider where these are few.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    nets_ : list of RNNRegressor
        The networks, one for each of `n_nets`, for `lightrnn.inspection` and the converters. They
        read the sequences of `lightrnn.inspection.network_inputs`. For each origin they predict
        (horizon, q) quantiles: differences from the season before and from the linear part, in
        units of the spread, not calibrated yet.
    scale_ : {"log", "mean", "standard"} or None
        How values are scaled, as `scale` says or "auto" found out.
    longer_season_ : int
        Steps of the longer period that is read too, a week of hours; 0 if forecasts of the windows
        that were held out are as good without.
    n_parameters_ : int
        Number of weights of a network.
    n_features_in_ : int
        Number of covariates, the columns of X; 0 without.
    feature_names_in_ : ndarray of str (n_features_in_,)
        Their names; only there if they have some.

    References
    ----------
    {references}
    .. [8] Wen, R., Torkkola, K., Narayanaswamy, B. and Madeka, D. (2017). A multi-horizon quantile
       recurrent forecaster. NIPS time series workshop.
    .. [9] Romano, Y., Patterson, E. and Candes, E. (2019). Conformalized quantile regression.
       NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNForecaster
    >>> y = 10 + np.sin(np.arange(200) * np.pi / 6)
    >>> model = RNNForecaster(3, 12, hidden_layer_sizes=8, max_iter=20, random_state=0).fit(y)
    >>> model.predict().shape
    (3,)
    >>> list(model.predict(level=80))
    ['lightrnn', 'lightrnn-lo-80', 'lightrnn-hi-80']
    """

    _kind = "forecaster"

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are networks."""
        return "_state" in vars(self)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: missing values are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _fitted(self) -> Fitted:
        """Return what was learned.

        Raises
        ------
        NotFittedError
            If the forecaster was not fitted.
        """
        check_is_fitted(self)
        return vars(self)["_state"]

    def _checked(self) -> Arguments:
        """Return the constructor's arguments as plain values."""
        kind: Any = type(self)
        return checked(kind, {name: getattr(self, name) for name in declared(kind)})

    # -- fitting ----------------------------------------------------------------------------------

    def fit(self, y: Any, X: Any = None) -> Self:
        """Learn from series.

        Parameters
        ----------
        y : array-like (T,), list of array-like (T_i,), Series or DataFrame
            One series or several, the oldest step first; NaN or None where a value is missing. A
            DataFrame has a column for each series, or is long, with the columns "unique_id", "ds",
            "y" and others, which are covariates. From dates the network reads hour, weekday and
            time of year.
        X : array-like (T,) or (T, C), list of them, or DataFrame, default=None
            Covariates beside each series. As long as y, they are known of the past, and may be
            given ahead when `predict` is called; a horizon longer, they are always known ahead.

        Returns
        -------
        self : RNNForecaster
            The fitted forecaster.

        Raises
        ------
        ValueError, TypeError
            If an argument of the constructor or y is invalid, or if the loss stops being finite.
            The forecaster is then as it was before the call.
        RuntimeError
            If `device` names a GPU that cannot be used.

        Warns
        -----
        UserWarning
            If no series is long enough to hold its last steps out, which choose among forecasts
            and calibrate their intervals.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = [np.arange(30) % 7.0, np.arange(50) % 7.0]
        >>> model = RNNForecaster(7, 7, hidden_layer_sizes=8, max_iter=2, random_state=0)
        >>> model.fit(y).predict().shape
        (2, 7)
        """
        arguments = self._checked()
        panel = with_covariates(read_panel(y), X, arguments["horizon"])
        self._replace_results(_state=learn(arguments, panel))
        return self

    # -- forecasting ------------------------------------------------------------------------------

    def predict(
        self, y: Any = None, X: Any = None, *, level: Any = None, quantiles: Any = None
    ) -> Any:
        """Forecast the steps that follow.

        Parameters
        ----------
        y : as in `fit`, default=None
            Series to forecast, whether or not they were learned from. None: those of the fit.
        X : as in `fit`, default=None
            Covariates, as long as y, or with the horizon, as far as they are known ahead; without y
            those of the horizon are enough.
        level : float or list of float, default=None
            Intervals to return too, each by the percentage of values that it is to cover.
        quantiles : float or list of float, default=None
            Quantiles to return instead, in (0, 1).

        Returns
        -------
        forecast : ndarray (horizon,) or (n, horizon), or dict of str to ndarray
            The medians, (n, horizon) of a list of series. With `level` or `quantiles` a dict:
            "lightrnn", and for each level "lightrnn-lo-80" and "lightrnn-hi-80", or for each
            quantile "lightrnn-ql0.9".

        Raises
        ------
        NotFittedError
            If the forecaster was not fitted.
        ValueError, TypeError
            If y is invalid, or a quantile or a level beyond those that were learned.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = np.arange(60) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
        >>> model.predict(y[:40], quantiles=(0.1, 0.9))["lightrnn-ql0.1"].shape
        (2,)
        """
        fitted = self._fitted()
        wanted = columns_of(level, quantiles, fitted.quantiles)
        panel = self._panel(fitted, y, X)
        fitted.encoding.covariates.check_ahead(panel, fitted.encoding.horizon)
        values = fitted.predicted(panel, tuple(wanted.values()))
        return panel.form.answer({name: values[..., i] for i, name in enumerate(wanted)})

    def score(self, y: Any, X: Any = None) -> float:
        """Return the negative MASE of forecasts of the last `horizon` steps of series.

        Parameters
        ----------
        y : as in `fit`
            Series, whose last steps are forecast from those before.
        X : as in `fit`, default=None
            Covariates, as long as y.

        Returns
        -------
        score : float
            A number of at most 0; -1 is as good as the forecast that a season repeats itself.

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
        >>> model.score(y) <= 0
        True
        """
        fitted = self._fitted()
        horizon = fitted.encoding.horizon
        panel = self._panel(fitted, y, X)
        check_lengths(panel, horizon, "Give each series with its past: the last steps are scored.")
        return -float(mean_of(fitted.measured(panel, horizon)["mase"]))

    def backtest(
        self,
        y: Any,
        X: Any = None,
        *,
        windows: int = 5,
        step: int | None = None,
        refit: bool = False,
    ) -> Backtest:
        """Fit to the earlier steps of series and forecast the later ones, window by window.

        The forecaster itself stays as it is; the fits have its arguments.

        Parameters
        ----------
        y : as in `fit`
            Series.
        X : as in `fit`, default=None
            Covariates. Those ahead of a window are used if X is a horizon longer than y.
        windows : int >= 1, default=5
            Number of windows, the last of which ends with the series.
        step : int >= 1 or None, default=None
            Steps from one window to the next; None: the horizon.
        refit : bool, default=False
            Whether to fit anew before each window. Else one fit, before the first window, forecasts
            them all.

        Returns
        -------
        result : Backtest
            Errors by window, series and step of the horizon: ``print`` shows tables, and
            ``result.frame()`` is a DataFrame.

        Raises
        ------
        ValueError, TypeError
            As `fit`, or if a series is too short for the windows.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = np.arange(80) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0)
        >>> sorted(model.backtest(y, windows=2).mean())
        ['coverage-80', 'coverage-95', 'mase', 'pinball', 'smape']
        """
        arguments = self._checked()
        horizon = arguments["horizon"]
        windows = checks.integer("windows", windows, 1)
        step = horizon if step is None else checks.integer("step", step, 1)
        refit = checks.flag("refit", refit)
        panel = with_covariates(read_panel(y), X, horizon)
        behind = horizon + step * np.arange(windows)[::-1]
        check_lengths(panel, int(behind[0]))
        fitted = None
        found = []
        for back in behind.tolist():
            if fitted is None or refit:
                fitted = learn(arguments, panel.until(panel.lengths - back))
            found.append(fitted.measured(panel, back))
        return joined(found, panel, behind)

    # -- saving -----------------------------------------------------------------------------------

    def save(self, path: StrPath) -> None:
        """Write the fitted forecaster to one file, which `lightrnn.load` reads on any machine.

        The file holds arrays and JSON, no pickle: the networks, and the series of the fit, of which
        `predict` forecasts the next steps. Callbacks are not written.

        Parameters
        ----------
        path : str or path-like
            The file, used as it is: no suffix is added.

        Raises
        ------
        NotFittedError
            If the forecaster was not fitted.
        TypeError
            If the names of series are neither text nor numbers.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster, load
        >>> y = np.arange(60) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
        >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
        >>> model.save(path)
        >>> bool((load(path).predict() == model.predict()).all())
        True
        """
        from ..utils import archive

        fitted = self._fitted()
        kind: Any = type(self)
        arguments = {name: getattr(self, name) for name in declared(kind)}
        state = arguments | {"callbacks": None, "fitted": as_tree(fitted)}
        archive.write(path, {"estimator": type(self).__name__, "state": state}, read_forecaster)

    def _panel(self, fitted: Fitted, y: Any, X: Any, start: Any = None) -> Panel:
        """Return series to forecast, with the covariates that were learned from.

        A `start` is the date of the first step of one series.
        """
        covariates = fitted.encoding.covariates
        if self.horizon != fitted.encoding.horizon:
            raise ValueError(
                f"horizon must be {fitted.encoding.horizon}, as in fit, got {self.horizon!r}. Fit "
                "anew: all steps of a horizon are learned together."
            )
        if X is not None and not covariates.n_columns:
            raise ValueError(
                f"X must be None, as in fit, got {checks.shown(X)}. Fit with covariates."
            )
        panel = fitted.panel if y is None else read_panel(y, fitted.panel)
        if start is not None and isinstance(panel.form, FrameForm):
            raise ValueError(
                f"start must be None where y has dates, got {checks.shown(start)}. Leave it out."
            )
        if start is not None:
            form: Any = fitted.panel.form.begun(start)
            panel = replace(panel, form=replace(form, starts=list(panel.form.skipped)))
        panel = covariates.of_fit(with_covariates(panel, X, fitted.encoding.horizon))
        fitted.encoding.check(panel)
        return panel


def read_forecaster(content: dict[str, Any]) -> RNNForecaster:
    """Return the forecaster of a file's content."""
    state = dict(content["state"])
    fitted = from_tree(state.pop("fitted"))
    checked(RNNForecaster, state)
    forecaster = RNNForecaster(**state)
    forecaster._replace_results(_state=fitted)
    return forecaster


READERS[RNNForecaster.__name__] = read_forecaster
