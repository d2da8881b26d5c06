"""The form of X that a fit saw, and what the network reads of it.

Later X must have the same names and number of features.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..utils.checks import shown
from ..utils.standardization import Standardization
from ..utils.tables import counted
from .containers import unwrapped
from .feature_names import check_feature_names
from .missing import COLUMNS, with_marks
from .patches import in_patches
from .sequences import Sequences, as_sequences, feature_names


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """Form of the sequences of a fit.

    Attributes
    ----------
    n_features_in : int
        As scikit-learn counts: the columns of a table, also where NaN at the ends of its rows make
        them sequences of different lengths; of sequences, whose length is free, the features of a
        step.
    is_table : bool
        Whether X was a table.
    feature_names : ndarray of str (dtype object) or None
        Names of the columns, if X had some.
    patch : int, default=1
        Number of steps that are one input of the network.
    fill : ndarray of float64 (F,) or None, default=None
        Value of each feature before its first one, if NaN stand for missing values.

    Examples
    --------
    >>> form = Form.of(as_sequences(np.ones((2, 5))))
    >>> form.attributes()
    {'n_features_in_': 5}
    >>> form.read("RNNClassifier", np.ones((3, 5))).n_features
    1
    """

    n_features_in: int
    is_table: bool
    feature_names: np.ndarray | None = None
    patch: int = 1
    fill: np.ndarray | None = None

    @classmethod
    def of(cls, X: Sequences, patch: int = 1) -> Self:
        """Return the form of the sequences that an estimator is fitted to."""
        n_features_in = X.width if X.is_table else X.n_features
        return cls(n_features_in, X.is_table, X.feature_names, patch)

    @property
    def step_features(self) -> int:
        """The number of features of a step."""
        return 1 if self.is_table else self.n_features_in

    @property
    def missing(self) -> str:
        """Whether X may hold NaN: "error" or "mask"."""
        return "error" if self.fill is None else "mask"

    @property
    def step_columns(self) -> int:
        """The number of columns that the network reads of a step."""
        return self.step_features * (1 if self.fill is None else COLUMNS)

    @property
    def input_features(self) -> int:
        """The number of features of an input of the network."""
        return self.patch * self.step_columns

    def attributes(self) -> dict[str, Any]:
        """Return the estimator's public attributes; the names are there only if X had some."""
        names = {} if self.feature_names is None else {"feature_names_in_": self.feature_names}
        return {"n_features_in_": self.n_features_in} | names

    def encoded(self, X: Sequences) -> Sequences:
        """Return what `read` returned as the network reads it."""
        return in_patches(self.marked(X), self.patch)

    def marked(self, X: Sequences) -> Sequences:
        """Return what `read` returned with the columns of a step that the network reads."""
        return X if self.fill is None else with_marks(X, self.fill)

    def of_inputs(self, standardization: Standardization | None) -> Standardization | None:
        """Return the standardisation of a step's columns as that of the network's inputs."""
        return standardization and standardization.tiled(self.patch)

    def read(
        self,
        estimator: str,
        X: Any,
        dtype: npt.DTypeLike = np.float32,
        *,
        name: str = "X",
        named: bool = True,
    ) -> Sequences:
        """Return X as `Sequences` with the names, form and number of features that `fit` saw.

        After a fit on a table, sequences must have its width, as scikit-learn demands; after a fit
        on sequences, their length is free and a 2-D array, which may be one sequence, is refused.

        Parameters
        ----------
        estimator : str
            Name of the estimator's class for messages.
        X : object
            Sequences in any form.
        dtype : dtype, default=numpy.float32
            Precision in which every value must be finite.
        name : str, default="X"
            Name of X in messages.
        named : bool, default=True
            Whether column names are compared with those of fit.

        Returns
        -------
        Sequences

        Raises
        ------
        ValueError
            If the features differ from those of fit, or the form does, and as `as_sequences`.
        TypeError
            As `as_sequences`.
        """
        X = unwrapped(X, name)
        # Before X itself is checked: a wrong column explains a wrong number of them.
        if named:
            check_feature_names(estimator, self.feature_names, feature_names(X, name), name)
        sequences = as_sequences(X, dtype, name=name, missing=self.fill is not None)
        F = sequences.n_features
        expected = self.n_features_in
        if self.is_table and F > 1:
            raise ValueError(
                f"{name} must be a table of {counted(expected, 'column')}, as in fit, "
                f"got sequences of {F} features. Pass a 2-D array."
            )
        # The features of a table are its steps, as in scikit-learn.
        found = np.array([F])
        if self.is_table:
            found = np.array([sequences.width]) if sequences.width else sequences.lengths
        wrong = found[found != expected]
        of_table = sequences.is_table and not self.is_table
        if len(wrong):
            remedy = f"{name} must have {counted(expected, 'feature')}, as in fit."
            if getattr(X, "ndim", 0) == 3 and X.shape[1] == expected:
                remedy = f"If its axes are (n, F, T), give {name}.swapaxes(1, 2)."
            elif self.is_table and not sequences.width:
                remedy = "Give a table, its rows filled up with NaN behind their ends."
            elif of_table:
                remedy = f"If it is one sequence, put it in a list: [{name}]."
            raise ValueError(
                f"{name} has {wrong[0]} features, but {estimator} is expecting "
                f"{expected} features as input. {remedy}"
            )
        # A list of lists has one sequence in each item, whatever their lengths are.
        if of_table and getattr(X, "ndim", 1) == 2:
            raise ValueError(
                f"{name} must be a list of sequences or an array (n, T, F), as in fit, "
                f"got {shown(X)}. If it is one sequence, put it in a list: [{name}]; "
                f"the rows of a table are sequences in list(np.asarray({name}))."
            )
        return sequences
