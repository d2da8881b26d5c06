"""scikit-learn's contract for estimators, kept without importing scikit-learn.

`BaseEstimator` handles parameters, repr, tags and metadata requests; `TransformerMixin` adds the
output names and containers of a transformer. scikit-learn itself is imported only inside the two
methods that nobody but scikit-learn calls.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from .exceptions import NotFittedError, resolve
from .utils.checks import choice, shown
from .utils.kinship import inherit_from_sklearn
from .utils.notebook import NotebookMixin

# The methods to which scikit-learn's meta-estimators pass metadata on.
REQUEST_METHODS = (
    "fit",
    "partial_fit",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score",
    "transform",
    "inverse_transform",
)

_MIXINS = {"classifier": "ClassifierMixin", "regressor": "RegressorMixin"}  # of scikit-learn
_FRAMES = ("pandas", "polars")  # libraries whose DataFrames `transform` can return


class _Requests(dict[str, dict[str, Any]]):
    """Metadata requests by method and argument."""

    def __sklearn_clone__(self) -> "_Requests":
        """Return a copy of the requests for scikit-learn's clone, which looks for this method."""
        return _Requests({method: dict(requests) for method, requests in self.items()})


def _metadata_names(owner: object, method: str) -> list[str]:
    """Return the names of the arguments of `owner.method` other than X and y."""
    found = _parameters(getattr(owner, method, lambda: None))
    return [p.name for p in found if p.name not in ("self", "X", "y")]


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function, without ``*args`` and ``**kwargs``."""
    return [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def _request_setter(method: str, names: list[str]) -> Callable[..., Any]:
    """Return the method `set_<method>_request` for the metadata `names`."""

    def set_request(self: Any, **requests: bool | str | None) -> Any:
        unknown = sorted(set(requests) - set(names))
        if unknown:
            raise TypeError(
                f"set_{method}_request must be given some of {names}, got {unknown}. "
                "Check the spelling."
            )
        stored = _Requests(getattr(self, "_metadata_request", {}))
        stored[method] = stored.get(method, {}) | {
            name: value
            for name, value in requests.items()
            # scikit-learn's own default for "leave this request as it is".
            if value != "$UNCHANGED$"
        }
        self._metadata_request = stored
        return self

    set_request.__name__ = f"set_{method}_request"
    set_request.__doc__ = (
        f"Choose which metadata a meta-estimator passes on to `{method}`: {', '.join(names)}.\n\n"
        "True requests it, False ignores it, None makes it an error, "
        "a str requests it under that name.\n"
    )
    return set_request


class BaseEstimator(NotebookMixin):
    """Base class that derives parameters, repr and tags from the constructor's signature.

    A subclass stores each constructor argument unchanged under its own name and sets `_kind` to
    "classifier" or "regressor" if it is one. Once scikit-learn is loaded, this class is made a
    subclass of `sklearn.base.BaseEstimator`, and a classifier or regressor one of the mixin of its
    kind; nothing is taken from them but the kinship.

    Examples
    --------
    >>> class Fixed(BaseEstimator):
    ...     def __init__(self, size=3, *, name="a"):
    ...         self.size, self.name = size, name
    >>> Fixed(5)
    Fixed(size=5)
    >>> Fixed().set_params(name="b").get_params()
    {'size': 3, 'name': 'b'}
    """

    _kind: str = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give the subclass a `set_<method>_request` for every method that takes metadata."""
        super().__init_subclass__(**kwargs)
        mixin = _MIXINS.get(cls.__dict__.get("_kind", ""))
        if mixin is not None:
            inherit_from_sklearn(cls, mixin, "BaseEstimator")
        for method in REQUEST_METHODS:
            names = _metadata_names(cls, method)
            if names:
                setattr(cls, f"set_{method}_request", _request_setter(method, names))

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """Return the constructor's arguments with their defaults, in the signature's order."""
        return {p.name: p.default for p in _parameters(cls.__init__)[1:]}

    def _replace_results(self, **attributes: Any) -> None:
        """Set the attributes that describe a fit, all at one moment."""
        kept = dict(vars(self))
        kept.pop("feature_names_in_", None)  # there only if X had names
        # One assignment: whoever is interrupted, or reads in another thread, finds all attributes
        # of the fit before or all of this one.
        self.__dict__ = kept | attributes

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the arguments of nested estimators, as ``outer__inner``.

        Returns
        -------
        dict of str to object
            The arguments and their values.
        """
        parameters = {}
        for name in self._defaults():
            value = parameters[name] = getattr(self, name)
            # A class has get_params as well, but no values of its own.
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                parameters |= {f"{name}__{inner}": v for inner, v in value.get_params().items()}
        return parameters

    def set_params(self, **parameters: Any) -> Self:
        """Set constructor arguments by name; `fit` checks their values.

        Parameters
        ----------
        **parameters : dict
            Arguments and their new values; those of a nested estimator as ``outer__inner``.

        Returns
        -------
        object
            The estimator itself.

        Raises
        ------
        ValueError
            If a name is no argument of the constructor; then nothing is set.
        """
        # All names are checked first, so that a wrong one leaves everything as it was.
        valid = list(self._defaults())
        for name in parameters:
            if name.partition("__")[0] not in valid:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}. "
                    f"Valid parameters are: {valid!r}."
                )
        nested: dict[str, dict[str, Any]] = {}
        for name, value in parameters.items():
            outer, is_nested, inner = name.partition("__")
            if is_nested:
                nested.setdefault(outer, {})[inner] = value
            else:
                setattr(self, name, value)
        # After the estimator's own arguments, which may replace a nested estimator.
        for outer, inner_parameters in nested.items():
            getattr(self, outer).set_params(**inner_parameters)
        return self

    def __repr__(self) -> str:
        """Show the class and the arguments that are not at their default."""
        return f"{type(self).__name__}({', '.join(self._changed())})"

    def _changed(self) -> Iterator[str]:
        """Yield `name=value` for each argument that differs from its default."""
        for name, default in self._defaults().items():
            value = getattr(self, name, default)
            # By repr, since comparing arrays or NaN gives no single truth.
            if repr(value) != repr(default):
                yield f"{name}={value!r}"

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has set an attribute with a trailing underscore."""
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of the estimator's kind, input and target."""
        from sklearn import utils

        supervised = self._kind in ("classifier", "regressor")
        tags = utils.Tags(
            estimator_type=self._kind or None,
            target_tags=utils.TargetTags(required=supervised),
        )
        # Without two_d_array scikit-learn's own test suite would skip nearly every check.
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = getattr(self, "missing", "error") == "mask"
        if self._kind == "classifier":
            tags.classifier_tags = utils.ClassifierTags(multi_label=True)
        if self._kind == "regressor":
            tags.regressor_tags = utils.RegressorTags()
            tags.target_tags.multi_output = True
        if hasattr(self, "transform"):
            # The argument `dtype`, not the dtype of X, decides that of the result.
            tags.transformer_tags = utils.TransformerTags(preserves_dtype=[])
        return tags

    def get_metadata_routing(self) -> Any:
        """Return the metadata requests in scikit-learn's form.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
            The requests that the ``set_<method>_request`` methods have stored.
        """
        from sklearn.utils.metadata_routing import MetadataRequest

        routing = MetadataRequest(owner=self)
        stored = getattr(self, "_metadata_request", {})
        for method in REQUEST_METHODS:
            requests = stored.get(method, {})
            for name in _metadata_names(self, method):
                getattr(routing, method).add_request(param=name, alias=requests.get(name))
        return routing


inherit_from_sklearn(BaseEstimator, "BaseEstimator")


class TransformerMixin:
    """Mixin that adds `fit_transform`, output names and `set_output` to an estimator.

    A subclass sets `_n_features_out` when it is fitted.
    """

    _n_features_out: int

    def fit_transform(self: Any, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit to X and y, then transform X.

        Parameters
        ----------
        X : object
            Sequences, as `fit` takes them.
        y : object, default=None
            Targets, as `fit` takes them; None leaves them out.
        **fit_params : dict
            Further arguments of `fit`.

        Returns
        -------
        object
            The result of `transform`.
        """
        arguments = (X,) if y is None else (X, y)
        return self.fit(*arguments, **fit_params).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return names for the columns of `transform`'s result.

        They are the class's name in lower case, numbered from 0.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the names that `fit` saw, and otherwise unused.

        Returns
        -------
        ndarray of str, dtype object, shape (n_features_out,)
            The names.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `input_features` differ from the names of `fit`, or in number.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self._n_features_out)], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container that `transform` returns.

        A result that is no 2-D array, such as a list of sequences, stays what it is.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            "default" returns arrays, the other two DataFrames; None changes nothing.

        Returns
        -------
        object
            The estimator itself.

        Raises
        ------
        TypeError, ValueError
            If `transform` is none of these.
        """
        if transform is not None:
            choice("transform", transform, ("default", *_FRAMES))
            self._sklearn_output_config = {"transform": transform}
        return self

    def _contained(self, result: Any, X: Any) -> Any:
        """Return the result of transform(X) in the container chosen here or in scikit-learn."""
        # Whoever has changed scikit-learn's config has imported it.
        sklearn = sys.modules.get("sklearn")
        config = sklearn.get_config() if sklearn else {}
        own = getattr(self, "_sklearn_output_config", {})
        chosen = own.get("transform", config.get("transform_output"))
        if chosen not in _FRAMES or not isinstance(result, np.ndarray) or result.ndim != 2:
            return result
        library = _frames_of(chosen)
        names = self.get_feature_names_out()
        if chosen == "polars":
            return library.DataFrame(result, schema=list(names), orient="row")
        index = X.index if isinstance(X, library.DataFrame) else None
        return library.DataFrame(result, columns=names, index=index)


def _frames_of(name: str) -> Any:
    """Return the library of this name, which makes DataFrames."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"Setting output container to {name!r} requires {name} to be installed. "
            f"Run: python -m pip install {name}"
        ) from error


def check_is_fitted(estimator: Any) -> None:
    """Raise NotFittedError unless the estimator has been fitted."""
    if not estimator.__sklearn_is_fitted__():
        raise resolve(NotFittedError)(
            f"This {type(estimator).__name__} instance is not fitted yet. "
            "Call 'fit' with appropriate arguments before using this estimator."
        )


def check_input_features(estimator: Any, input_features: Any) -> None:
    """Check the argument of `get_feature_names_out` against the features that `fit` saw."""
    if input_features is None:
        return
    names = np.asarray(input_features, dtype=object)
    fitted = getattr(estimator, "feature_names_in_", None)
    if fitted is not None and not np.array_equal(fitted, names):
        raise ValueError(
            "input_features is not equal to feature_names_in_. "
            "Leave it out to use the fitted names."
        )
    if names.shape != (estimator.n_features_in_,):
        raise ValueError(
            "input_features should have length equal to number of features "
            f"({estimator.n_features_in_}), got {shown(input_features)}."
        )
