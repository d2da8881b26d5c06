"""Align other variables with the series they belong to: by position, or by date and name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.arrays import as_array
from ..utils.checks import shown
from .dates import pandas, read_index
from .forms import ID, TIME, VALUE, FrameForm
from .frames import numbers_of, placed, with_columns
from .polars import is_polars, to_pandas
from .series import Panel, check_finite, is_frame, numbers_in

_ROWS = "Give an array (T, C) for each series, or one row (C,) of what does not change."


def with_covariates(panel: Panel, X: Any, horizon: int) -> Panel:
    """Return a panel with other variables beside its series.

    Parameters
    ----------
    panel : Panel
        The series; it may have covariates, which those of X are added to.
    X : array-like (T,) or (T, C), list of them, array-like (n, C), or DataFrame, or None
        As long as the series, or a horizon longer; if the panel has covariates, the horizon alone
        is enough. One row for each of several series does not change in time.
    horizon : int
        Steps of the horizon.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError
        If X has other rows, or not the columns that there are.
    TypeError
        If it holds anything but numbers.
    """
    if X is None:
        return panel
    if is_frame(X) and isinstance(panel.form, FrameForm):
        X = to_pandas(X) if is_polars(X) else X
        given, names = _by_date(X, panel, horizon)
    else:
        given, names = _by_position(X, panel, horizon), None
    for index, part in enumerate(given):
        check_finite(part, f"X[{index}]")
    if panel.covariates is not None:
        given, names = _merged(panel, given, names)
    # A series has no rows of the horizon if nothing is known of it.
    covariates = [
        part if np.isfinite(part[len(series) :]).any() else part[: len(series)]
        for part, series in zip(given, panel.values, strict=True)
    ]
    return replace(panel, covariates=covariates, names=names)


# -- arrays ---------------------------------------------------------------------------------------


def _by_position(X: Any, panel: Panel, horizon: int) -> list[np.ndarray]:
    """Return the rows of arrays for each series, (T_i + horizon, C), NaN where none is given."""
    single = panel.form.single
    items: Any = X if isinstance(X, list | tuple) or single else as_array(X, "X", _ROWS)
    if not single and all(np.ndim(item) == 0 for item in items):
        items = as_array(items, "X", _ROWS)
    items = [X] if single else items
    if len(items) != len(panel.values):
        raise ValueError(
            f"X must have one item for each series, {len(panel.values)}, got {len(items)}. "
            "Give a list of arrays (T, C); [X] * n if all series share one."
        )
    arrays = [_numbers(item, f"X[{index}]") for index, item in enumerate(items)]
    skipped = panel.form.skipped
    lengths = panel.lengths + skipped
    more = panel.covariates is not None
    if not single and _are_rows(arrays, lengths, horizon, more):
        arrays = [
            np.tile(row.reshape(1, -1), (length, 1))
            for row, length in zip(arrays, lengths.tolist(), strict=True)
        ]
    arrays = [array.reshape(len(array), -1 if array.size else 0) for array in arrays]
    widths = [array.shape[1] for array in arrays]
    if len(set(widths)) > 1 or not widths[0]:
        raise ValueError(
            f"X must have the same columns for each series, one at least, got {shown(widths)}. "
            "Give NaN where one is not known."
        )
    parts = zip(arrays, lengths.tolist(), strict=True)
    padded = [
        _padded(array, length, horizon, more, f"X[{index}]")
        for index, (array, length) in enumerate(parts)
    ]
    return [part[start:] for part, start in zip(padded, skipped, strict=True)]


def _numbers(item: Any, name: str) -> np.ndarray:
    """Return an item of X as float64."""
    array = numbers_in(item, name, _ROWS).astype(np.float64)
    if array.ndim > 2:
        raise ValueError(
            f"{name} must be an array (T,) or (T, C), got {shown(array)}. Flatten each step."
        )
    return array


def _are_rows(arrays: list[np.ndarray], lengths: np.ndarray, horizon: int, more: bool) -> bool:
    """Return whether there is a row for each series, of variables that do not change."""
    sizes = {array.size for array in arrays}
    if any(array.ndim > 1 for array in arrays) or len(sizes) > 1:
        return False
    size = sizes.pop()
    of_steps = {*lengths.tolist(), *(lengths + horizon).tolist(), *([horizon] if more else [])}
    # More columns than that are rather steps, some of which are missing.
    return arrays[0].ndim == 0 or (size not in of_steps and 2 * size <= lengths.min())


def _padded(array: np.ndarray, T: int, horizon: int, more: bool, name: str) -> np.ndarray:
    """Return rows (T + horizon, C), NaN where they are not given."""
    if len(array) not in (T, T + horizon, *([horizon] if more else [])):
        raise ValueError(
            f"{name} must have as many rows as the series, {T}, or {T + horizon} with the horizon"
            f"{f', or {horizon} for the horizon alone' if more else ''}, got {len(array)}. "
            "Leave none out: write NaN where nothing is known."
        )
    whole = np.full((T + horizon, array.shape[1]), np.nan)
    start = T if more and len(array) == horizon != T else 0
    whole[start : start + len(array)] = array
    return whole


# -- DataFrames -----------------------------------------------------------------------------------


def _by_date(X: Any, panel: Panel, horizon: int) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return the rows of a DataFrame for each series, (T_i + horizon, C), and names of columns."""
    form: Any = panel.form
    X = with_columns(X.to_frame() if X.ndim == 1 else X)
    is_long = ID in X.columns
    X = X if is_long or TIME not in X.columns else X.set_index(TIME)
    others = X.columns.drop([ID, TIME, VALUE] if is_long else [], errors="ignore")
    if not len(others):
        raise ValueError("X must have at least one column of covariates, got none. Leave X out.")
    columns = [numbers_of(X[name], f"X[{name!r}]") for name in others]
    # The first column shows where there is a row.
    rows = np.column_stack([np.ones(len(X)), *columns])
    place = _by_name if is_long else _for_all
    parts = [part.copy() for part in place(X, rows, form, horizon)]
    if not any(np.isfinite(part[:, 0]).any() for part in parts):
        raise ValueError(
            f"X must have rows at the dates of y, got {shown(X)} with none. "
            "Give both the same dates, time zone and names of series."
        )
    ahead = [int(np.isfinite(part[-horizon:, 0]).sum()) for part in parts]
    some = [index for index, count in enumerate(ahead) if 0 < count < horizon]
    # Where series end at different dates, those that end first may have a part of it by chance.
    if some and (panel.covariates is not None or max(ahead) < horizon):
        raise ValueError(
            f"X must have a row for each of the {horizon} steps of the horizon or for none, got "
            f"{ahead[some[0]]} of {shown(form.ids[some[0]])}. Write NaN where nothing is known."
        )
    for part, count in zip(parts, ahead, strict=True):
        part[len(part) - horizon if count < horizon else len(part) :] = np.nan
    return [part[:, 1:] for part in parts], tuple(map(str, others))


def _for_all(X: Any, rows: np.ndarray, form: FrameForm, horizon: int) -> Iterator[np.ndarray]:
    """Yield rows that all series share, by date."""
    positions = form.calendar.positions(read_index(X.index, "X"))
    steps = form.end + horizon
    kept = (positions >= 0) & (positions < steps)
    _check_once(positions[kept], X.index[kept])
    whole = np.full((steps, rows.shape[1]), np.nan)
    whole[positions[kept]] = rows[kept]
    for start, length in zip(form.starts, form.lengths, strict=True):
        yield whole[start : start + length + horizon]


def _by_name(X: Any, rows: np.ndarray, form: FrameForm, horizon: int) -> Iterator[np.ndarray]:
    """Yield the rows of each series by its name, and by date if there are dates."""
    index = pandas().Index(form.ids, tupleize_cols=False)
    codes = index.get_indexer(pandas().Index(X[ID], tupleize_cols=False))
    starts = np.array(form.starts)
    lengths = np.add(form.lengths, horizon)
    if TIME not in X.columns:
        _check_once(codes[codes >= 0], X[ID][codes >= 0])
        found = np.append(rows, np.full((1, rows.shape[1]), np.nan), axis=0)
        order = pandas().Index(X[ID], tupleize_cols=False).get_indexer(index)
        # Of the horizon they are no news.
        behind = np.full((horizon, rows.shape[1]), np.nan)
        for row, length in zip(found[order, None], form.lengths, strict=True):
            yield np.concatenate([np.tile(row, (length, 1)), behind])
        return
    positions = form.calendar.positions(read_index(X[TIME], f"X[{TIME!r}]"))
    steps = positions - starts[codes]
    kept = (codes >= 0) & (positions >= 0) & (steps >= 0) & (steps < lengths[codes])
    places = (steps + np.cumsum(lengths)[codes] - lengths[codes])[kept]
    _check_once(places, X[TIME][kept])
    yield from placed(rows[kept], places, lengths)


def _check_once(places: np.ndarray, labels: Any) -> None:
    """Raise a ValueError if two rows belong to the same place."""
    order = np.argsort(places, kind="stable")
    twice = np.flatnonzero(np.diff(places[order]) == 0)
    if len(twice):
        label = list(labels)[order[twice[0]]]
        raise ValueError(
            f"X must have one row for each date of a series, got {shown(label)} twice. "
            "Take their mean or sum with groupby."
        )


# -- both -----------------------------------------------------------------------------------------


def _merged(
    panel: Panel, given: list[np.ndarray], names: tuple[str, ...] | None
) -> tuple[list[np.ndarray], tuple[str, ...] | None]:
    """Return the covariates of a panel with others added, which count where both are known."""
    before = panel.covariates or []
    width, more = before[0].shape[1], given[0].shape[1]
    columns = list(range(more))
    if names and panel.names:
        union = list(dict.fromkeys(panel.names + names))
        columns = [union.index(name) for name in names]
        names = tuple(union)
        width = len(union)
    elif more != width:
        raise ValueError(
            f"X must have the columns of the fit, {panel.names or width}, got {more}. "
            "Give them in that order, NaN where one is not known."
        )
    merged = []
    for old, new in zip(before, given, strict=True):
        whole = np.full((len(new), width), np.nan)
        whole[: len(old), : old.shape[1]] = old
        whole[:, columns] = np.where(np.isnan(new), whole[:, columns], new)
        merged.append(whole)
    return merged, names or panel.names
