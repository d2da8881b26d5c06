"""Long DataFrames on dask, in which a row is a step and a column names its sequence.

The rows of a sequence may stand in several partitions, as where a sorted frame was cut. Then they
are brought together in the one of these partitions that has fewer such rows so far. Which one that
is follows from the frame alone, so that results do not depend on the cluster.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from .. import cpu
from ..data.arrays import as_array
from ..utils.checks import shown
from ..utils.indexing import split, take
from .collections import blocks_of, gathered, in_frame


class LongFrame:
    """The sequences of a long dask.dataframe.

    Parameters
    ----------
    client : distributed.Client
        It computes where each sequence is.
    frame : dask.dataframe, or list of Delayed or Future
        Rows in the order of time; each item of a list is a DataFrame.
    column : str
        Name of the column, or of the index, that has the name of each row's sequence.

    Attributes
    ----------
    column : str
        As above.
    blocks : list of Delayed
        Partitions of sequences: each a list of DataFrames without that column.
    names : list of list
        Names of the sequences in each of these partitions.
    """

    def __init__(self, client: Any, frame: Any, column: str) -> None:
        # Partitions of a list are looked at where they are.
        self._is_list = isinstance(frame, (list, tuple))
        if not self._is_list:
            _check_column(frame, column)
        self.column = column
        given = blocks_of(frame, "X")
        delayed = cpu.once.imported("dask").delayed
        find = delayed(_names_of_rows, traverse=False)
        found = gathered(client, [find(block, column) for block in given])
        numbers: dict[Any, int] = {}
        rows = [
            np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)[codes]
            for names, codes in found
        ]
        self._order = list(numbers)
        # By row of the frame, the number of its sequence in the order in which they first occur.
        self._sequence_of_row = np.concatenate(rows)
        counts = [np.bincount(part, minlength=len(numbers)) for part in rows]
        homes = _homes(np.array(counts))
        # By sequence of the partitions, its number.
        self._numbers = np.argsort(homes, kind="stable")
        self.names = [
            [self._order[number] for number in np.flatnonzero(homes == home)]
            for home in range(len(given))
        ]
        cut = delayed(_cut, pure=False, traverse=False)
        some = delayed(_rows_of, pure=False, traverse=False)
        self.blocks = [
            cut(
                [
                    block if i == home else some(block, column, names)
                    for i, block in enumerate(given)
                    if i == home or counts[i][homes == home].any()
                ],
                column,
                names,
            )
            for home, names in enumerate(self.names)
        ]

    def arranged(self, values: Any, name: str, step: bool) -> Any:
        """Return targets or weights in the order of the partitions' sequences.

        Parameters
        ----------
        values : object
            One for each row of the frame, or for each sequence: a Series or DataFrame whose index
            has the names of all sequences, or others in the order in which these first occur.
        name : str
            Name of the values in messages.
        step : bool
            Whether there is one for each step.
        """
        if values is None:
            return None
        n = len(self._order)
        # A list has a method of the name.
        named = hasattr(values, "iloc") and len(values) == n and values.index.is_unique
        if named and set(values.index) == set(self._order):
            values = values.loc[self._order]
        if not isinstance(values, (list, tuple)):
            values = as_array(values, name, "Give an array.")
        if len(values) == n:
            return take(values, self._numbers)
        if len(values) != len(self._sequence_of_row):
            raise ValueError(
                f"{name} must have {n} entries, one for each sequence of X, or "
                f"{len(self._sequence_of_row)}, one for each of its rows, got {len(values)}."
            )
        return self._of_rows(np.asarray(values), name, step)

    def _of_rows(self, values: np.ndarray, name: str, step: bool) -> Any:
        """Return values of rows by sequence: those of its steps, or the one that they all have."""
        order = np.argsort(self._sequence_of_row, kind="stable")
        steps = split(values[order], np.bincount(self._sequence_of_row))
        if step:
            return take(steps, self._numbers)
        for number, part in enumerate(steps):
            if (part != part[0]).any():
                raise ValueError(
                    f"{name} must have one value for each sequence, got {shown(part[0])} and "
                    f"others for {shown(self._order[number])}. Give one for each sequence, or set "
                    "target='step'."
                )
        return np.array([steps[number][0] for number in self._numbers.tolist()])

    def labelled(self, results: list[Any], columns: Any, sample: Any) -> Any:
        """Return results of partitions with the sequences' names as index.

        Parameters
        ----------
        results : list of Delayed
            Of each partition.
        columns : sequence, or None
            Names of the results' columns.
        sample : ndarray, or list of ndarray
            A result for one sequence.

        Returns
        -------
        dask.dataframe or Series, or list of Delayed
            A list if the frame was one; a DataFrame or Series each.
        """
        delayed = cpu.once.imported("dask").delayed
        label = delayed(_labelled, pure=False, traverse=False)
        found = _labelled(sample, self._order[:1], self.column, columns)
        empty = found.iloc[:0]
        parts = [
            label(result, names, self.column, columns) if names else delayed(empty)
            for result, names in zip(results, self.names, strict=True)
        ]
        if self._is_list:
            return parts
        frames = cpu.once.imported("dask.dataframe")
        return frames.from_delayed(parts, meta=empty, verify_meta=False)


def _homes(counts: np.ndarray) -> np.ndarray:
    """Return the partition to which each sequence goes.

    Parameters
    ----------
    counts : ndarray of int (partitions, sequences)
        Rows of each sequence in each partition.

    Examples
    --------
    >>> _homes(np.array([[3, 2, 0], [0, 1, 4]]))
    array([0, 0, 1])
    """
    homes = counts.argmax(axis=0)
    several = (counts > 0).sum(axis=0) > 1
    loads = counts[:, ~several].sum(axis=1)
    for number in np.flatnonzero(several):
        places = np.flatnonzero(counts[:, number])
        home = places[loads[places].argmin()]
        homes[number] = home
        loads[home] += counts[:, number].sum()
    return homes


def _check_column(frame: Any, column: str) -> None:
    """Raise an error if a frame, or a partition of it, has no column or index of a name."""
    if not hasattr(frame, "columns"):
        raise TypeError(
            "X must be a dask.dataframe, or a list of DataFrames in Delayed or Future, where "
            f"`sequence` is given, got {type(frame).__name__}. Leave `sequence` out."
        )
    if not isinstance(column, Hashable):
        raise TypeError(
            f"sequence must be the name of one column, got {shown(column)}. Join several columns "
            "to one that names each sequence."
        )
    if column not in frame.columns and column != frame.index.name:
        raise ValueError(
            f"sequence must be a column of X or the name of its index, got {column!r} where "
            f"the columns are {shown(list(frame.columns))}."
        )


def _names_of_rows(frame: Any, column: str) -> tuple[list[Any], np.ndarray]:
    """Return the names of a partition's sequences as they first occur, and each row's number."""
    _check_column(frame, column)
    keys = frame[column] if column in frame.columns else frame.index
    codes, names = keys.factorize()
    if (codes < 0).any():
        raise ValueError(
            f"X must name the sequence of each row in {column!r}, got none in row "
            f"{int((codes < 0).argmax())} of a partition. Drop such rows, or fill them in."
        )
    return names.tolist(), codes


def _rows_of(frame: Any, column: str, names: list[Any]) -> Any:
    """Return the rows of some sequences."""
    keys = frame[column] if column in frame.columns else frame.index
    return frame[keys.isin(names)]


def _cut(parts: list[Any], column: str, names: list[Any]) -> list[Any]:
    """Return a DataFrame for each sequence, whose rows are in one or several parts."""
    pandas = cpu.once.imported("pandas")
    frame = pandas.concat(parts) if len(parts) > 1 else parts[0]
    groups = {}
    for name, steps in frame.groupby(column, sort=False, observed=True):
        steps = steps.drop(columns=column) if column in steps.columns else steps
        # A column of tokens: each sequence is a list of them.
        is_text = steps.shape[1] == 1 and steps.dtypes.iloc[0].kind in "OTU"
        groups[name] = list(steps.iloc[:, 0]) if is_text else steps
    return [groups[name] for name in names]


def _labelled(values: Any, names: Iterable[Any], column: str, columns: Any) -> Any:
    """Return values of sequences, or those of all their steps, with the names as index."""
    if isinstance(values, list):
        names = [name for name, steps in zip(names, values, strict=True) for _ in range(len(steps))]
        values = np.concatenate(values) if values else np.empty(0)
    return in_frame(values, cpu.once.imported("pandas").Index(list(names), name=column), columns)
