"""Any nesting of Python's and NumPy's values, to fuzz the checks of users' data with."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst


def object_array(items):
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


class Foreign:
    """An array of another library that NumPy cannot read."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("the array lives elsewhere")


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.decimals(),
    st.fractions(),
    st.dates(),
    st.just(object()),
    st.just(Foreign()),
    st.just(10**400),
)
shapes = npst.array_shapes(min_dims=0, max_dims=6, min_side=0, max_side=3)
arrays = npst.arrays(st.one_of(npst.scalar_dtypes(), npst.array_dtypes()), shapes) | npst.arrays(
    object, shapes, elements=scalars
)
junk = st.recursive(
    scalars | arrays,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(object_array),
        st.dictionaries(st.text(max_size=2), inner, max_size=2),
    ),
    max_leaves=12,
)
