"""Pictures, in scikit-learn's Display pattern: ``Display.from_estimator(...)``, ``.plot(ax=)``, ``.ax_``, ``.figure_``.

They need matplotlib (``pip install 'lightrnn[plot]'``), which is imported when something is drawn.
"""

from ._curves import GradientFlowDisplay, LearningCurveDisplay
from ._diagram import UnrolledNetworkDisplay
from ._strips import AttributionDisplay, GateDisplay

__all__ = [
    "AttributionDisplay",
    "GateDisplay",
    "GradientFlowDisplay",
    "LearningCurveDisplay",
    "UnrolledNetworkDisplay",
]
