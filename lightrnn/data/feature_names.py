"""Read a DataFrame's column names and compare them with those seen in fit, as scikit-learn does."""

from typing import Any

import numpy as np

from ..exceptions import warn
from ..utils.checks import shown
from .arrays import is_arrow


def columns_of(frame: Any, axis: str = "columns") -> Any:
    """Return the columns of a DataFrame, or None; those of a Series are its "index"."""
    # The columns of pyarrow's tables are their values.
    return getattr(frame, "column_names" if is_arrow(frame) else axis, None)


def column_names(frame: Any, axis: str = "columns") -> np.ndarray | None:
    """Return a DataFrame's column names as an object array if all are text, else None.

    `axis` is that of `columns_of`.

    Raises
    ------
    TypeError
        If some names are text and some are not.
    """
    columns = columns_of(frame, axis)
    is_frame = is_arrow(frame) or hasattr(frame, "to_numpy") or hasattr(frame, "to_dask_array")
    if columns is None or not is_frame:
        return None
    # Compared by type, as scikit-learn does: columns that are merely numbered have no names.
    names = np.asarray(columns, dtype=object)
    kinds = sorted({type(name).__qualname__ for name in names})
    if "str" in kinds and len(kinds) > 1:
        raise TypeError(
            "Feature names are only supported if all input features have string names, "
            f"but your input has {kinds} as column name types. "
            "Convert them all with X.columns = X.columns.astype(str)."
        )
    return names if kinds == ["str"] else None


def check_feature_names(
    estimator: str, fitted: np.ndarray | None, names: np.ndarray | None, name: str = "X"
) -> None:
    """Compare the column names of X with those seen in fit; warn if only one of the two has names.

    `estimator` is the name of its class, `name` that of X in warnings.

    Raises
    ------
    ValueError
        If both have names and they differ, or differ in order.
    """
    if names is None:
        if fitted is not None:
            warn(
                UserWarning,
                f"{name} does not have valid feature names, but {estimator} was fitted with "
                "feature names",
            )
    elif fitted is None:
        warn(
            UserWarning,
            f"{name} has feature names, but {estimator} was fitted without feature names",
        )
    else:
        require_same_names(fitted, names)


def require_same_names(fitted: np.ndarray, names: np.ndarray) -> None:
    """Raise a ValueError if column names differ from those seen in fit, or differ in order."""
    if np.array_equal(fitted, names):
        return
    message = "The feature names should match those that were passed during fit.\n"
    differences = {
        "Feature names unseen at fit time:\n": sorted(set(names) - set(fitted)),
        "Feature names seen at fit time, yet now missing:\n": sorted(set(fitted) - set(names)),
    }
    for title, found in differences.items():
        if found:
            message += title + "".join(f"- {name}\n" for name in found[:5])
        if len(found) > 5:
            message += "- ...\n"
    if not any(differences.values()):
        message += (
            "Feature names must be in the same order as they were in fit.\n"
            f"The order in fit: {shown(list(fitted))}.\n"
        )
    raise ValueError(message)
