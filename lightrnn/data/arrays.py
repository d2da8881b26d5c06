"""Turn anything array-like into an array of finite real numbers, or raise an error.

`sequences`, `targets` and `labels` read the user's data through these functions. Nothing is copied
unless its type demands it.
"""

import decimal
import numbers
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..utils.checks import shown

# Up to this many numbers, one dot product shows fastest that all are finite; for more of them, BLAS
# would start threads.
_SHORT = 8192
_COMMON = {int, float, str}  # types of most items of lists
_BLOCK = 4096  # rows converted at a time while the bad value is searched for: bounds the memory


def as_array(value: Any, where: str, remedy: str) -> np.ndarray:
    """Return an array, DataFrame, Series or nested list as an ndarray; a memory map stays one.

    Parameters
    ----------
    value : object
        The user's data.
    where : str
        Name of the data in messages, such as "X[3]".
    remedy : str
        Sentence that ends the message if `value` is no rectangular array.

    Raises
    ------
    TypeError
        If it is sparse, text, or no array at all.
    ValueError
        If NumPy cannot read it as a rectangular array.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "X", "Give a list.").shape
    (2, 2)
    """
    if type(value) is np.ndarray or isinstance(value, np.memmap):
        return value
    # Nobody can pass a sparse matrix without having imported scipy.sparse, which takes its time.
    scipy_sparse = sys.modules.get("scipy.sparse")
    is_sparse = bool(scipy_sparse and scipy_sparse.issparse(value))
    if is_sparse or (is_tensor(value) and value.is_sparse):
        raise TypeError(
            f"Sparse data was passed for {where}, but dense data is required. "
            f"Use '{'.toarray()' if is_sparse else '.to_dense()'}' to convert to a dense array."
        )
    if isinstance(value, Mapping):
        remedy = f"Give its values: list({where}.values())."
    if not isinstance(value, (list, tuple, range)) and not hasattr(value, "__array__"):
        raise TypeError(
            f"{where} must be an array, a DataFrame or a list, got {shown(value)}. {remedy}"
        )
    try:
        return np.asarray(_plain(value))
    except Exception as error:  # whatever a foreign __array__ raises
        raise ValueError(f"{where} must be rectangular, got {shown(value)}. {remedy}") from error


def _plain(value: Any) -> Any:
    """Return a tensor, masked array or DataFrame, or nested lists of them, for `np.asarray`."""
    if isinstance(value, (list, tuple)):
        # The types first: they are few, and lists of numbers, which are long, stay as they are.
        kinds = set(map(type, value))
        is_flat = kinds <= _COMMON or all(map(_is_scalar, kinds))
        return value if is_flat else [_plain(item) for item in value]
    if isinstance(value, np.ma.MaskedArray):
        if not np.ma.is_masked(value):
            return value.data
        # A masked entry is a missing one; the check for finite values will name it.
        kind = np.float64 if value.dtype.kind in "fiub" else object
        return np.ma.filled(value.astype(kind), np.nan)
    if is_tensor(value):
        value = value.detach().cpu()
        # The only floats of PyTorch that NumPy lacks.
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    # That of pyarrow takes numbers without missing ones alone; its `__array__` takes all.
    return value.to_numpy() if hasattr(value, "to_numpy") and not is_arrow(value) else value


def is_arrow(value: Any) -> bool:
    """Whether a value is an array or a table of pyarrow."""
    return hasattr(value, "to_pylist")


def _is_scalar(kind: type) -> bool:
    """Whether a type is one of numbers, text or missing values."""
    return issubclass(kind, (numbers.Number, np.generic, str, bytes, type(None)))


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch, which is not imported for this."""
    return hasattr(value, "detach") and hasattr(value, "cpu") and hasattr(value, "numpy")


def as_numbers(array: np.ndarray, where: str) -> np.ndarray:
    """Return `array` if its dtype is float, int or bool; convert objects to float64.

    Objects that stand for missing values become NaN.

    Raises
    ------
    TypeError
        If it holds text, dates or anything else that is no number.
    ValueError
        If it is complex.

    Examples
    --------
    >>> as_numbers(np.array([1, None], dtype=object), "X")
    array([ 1., nan])
    """
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if kind == "O":
        values = [_number(value, where) for value in array.flat]
        return np.array(values, dtype=np.float64).reshape(array.shape)
    if kind == "c":
        raise ValueError(complex_found(where))
    if kind in "UST":
        raise TypeError(text_found(array.flat[0] if array.size else "", where))
    raise TypeError(
        f"{where} must hold numbers, got dtype {array.dtype}. Convert it to floats first."
    )


def _number(value: Any, where: str) -> float:
    """Return an object as a float, NaN if it is missing and inf if it is too large."""
    if is_missing(value):
        return np.nan
    if isinstance(value, (numbers.Real, np.bool_, decimal.Decimal)):
        try:
            return float(value)
        except OverflowError:
            return np.inf
    if isinstance(value, numbers.Complex):
        raise ValueError(complex_found(where))
    if isinstance(value, (str, bytes)):
        raise TypeError(text_found(value, where))
    raise TypeError(
        # scikit-learn's checks look for NumPy's words, "argument must be a string ... real number".
        f"{where} must hold numbers, got {shown(value)}: each argument must be not a string, not a "
        f"{type(value).__name__}, but a real number. Give one number for each step and feature."
    )


def result_dtype(array: np.ndarray) -> str:
    """Return the name of the dtype of results: float32 for floats of at most 32 bits, else float64.

    Examples
    --------
    >>> result_dtype(np.zeros(3, ">f4")), result_dtype(np.zeros(3, int))
    ('float32', 'float64')
    """
    return "float32" if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else "float64"


def is_missing(value: Any) -> bool:
    """Whether an object stands for a missing value: None, pandas' NA and NaT, any NaN."""
    if isinstance(value, (float, np.floating)):
        return bool(value != value)  # only NaN differs from itself
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def complex_found(where: str) -> str:
    """Return the message that refuses complex numbers, which begins as scikit-learn's does."""
    return (
        f"Complex data not supported: {where} must hold real numbers. "
        "Split it into two real columns."
    )


def text_found(value: object, where: str) -> str:
    """Return the message that refuses text where numbers are needed."""
    if isinstance(value, bytes):
        remedy = "Decode it: .decode('utf-8')."
    elif where.startswith("y"):
        remedy = "Encode it as numbers, or use RNNClassifier for labels."
    else:
        remedy = (
            "Encode it as numbers, or let an estimator read it as tokens: a list of texts, or of "
            "lists of str."
        )
    return f"{where} must hold numbers, got text: {shown(value)}. {remedy}"


def first_not_finite(
    arrays: Iterable[np.ndarray], dtype: npt.DTypeLike, *, missing: bool = False
) -> int | None:
    """Return the index of the first array with a value that is not finite in `dtype`, or None.

    With `missing`, NaN is let through. Nothing is copied, whatever the size.

    Examples
    --------
    >>> first_not_finite([np.array([1]), np.array([1e300])], np.float32)
    1
    """
    limit = float(np.finfo(dtype).max)
    with np.errstate(all="ignore"):
        for i, array in enumerate(arrays):
            if array.dtype.kind != "f":
                continue
            if array.size <= _SHORT:
                flat = array.ravel("K")  # in the order of memory: most often a view
                if flat.dot(flat) <= limit:
                    continue
            # A sum of squares beyond the limit may still be of finite numbers: look again.
            least, greatest = (np.fmin, np.fmax) if missing else (np.minimum, np.maximum)
            low = float(least.reduce(array, None))
            high = float(greatest.reduce(array, None))
            if missing and np.isnan(low):  # there is nothing else
                continue
            # NaN makes both reductions NaN and every comparison false.
            if not -limit <= low <= high <= limit:
                return i
    return None


def first_bad(
    array: np.ndarray, dtype: npt.DTypeLike, *, missing: bool = False
) -> tuple[tuple[int, ...], str, str]:
    """Return index, value and remedy of the first entry that is not finite in `dtype`.

    With `missing`, NaN is let through. Called only if there is one; `array` has one or two axes.

    Examples
    --------
    >>> first_bad(np.array([[0.0, np.inf]]), np.float32)[:2]
    ((0, 1), 'inf')
    """
    limit = float(np.finfo(dtype).max)
    with np.errstate(all="ignore"):
        for start in range(0, len(array), _BLOCK):
            block = array[start : start + _BLOCK].astype(np.float64)
            good = np.abs(block) <= limit  # NaN is not
            bad = np.argwhere(~(good | np.isnan(block)) if missing else ~good)
            if len(bad):
                break
        row, *column = bad[0].tolist()
        index = (start + row, *column)
        value = float(array[index])
    if np.isnan(value):
        return (
            index,
            "NaN",
            "Fill in or drop missing values first, for example carry the last value forward; "
            "masked arrays have .filled(value).",
        )
    if np.isinf(value):
        return index, str(value), "Replace infinities by a finite value first."
    return (
        index,
        f"{value:g}",
        f"It overflows to inf in {np.dtype(dtype)}: rescale, or use dtype='float64'.",
    )
