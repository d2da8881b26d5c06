"""Pictures, in scikit-learn's Display pattern: ``Display.from_estimator(...)``, ``.plot(ax=)``, ``.ax_``, ``.figure_``.

They need matplotlib (``pip install 'lightrnn[plot]'``), which is imported when something is drawn.
"""

from .attribution import AttributionDisplay
from .gates import GateDisplay
from .gradient_flow import GradientFlowDisplay
from .learning_curve import LearningCurveDisplay
from .network_diagram import UnrolledNetworkDisplay

__all__ = [
    "AttributionDisplay",
    "GateDisplay",
    "GradientFlowDisplay",
    "LearningCurveDisplay",
    "UnrolledNetworkDisplay",
]
