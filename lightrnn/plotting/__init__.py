"""Draw training, memory, gates, attributions and forecasts, in scikit-learn's Display pattern.

Each class has ``from_estimator``, which computes and draws, and ``plot``, which draws what the
object holds and leaves ``ax_`` and ``figure_``. Drawing needs matplotlib
(``pip install matplotlib``), which is imported when something is drawn.
"""

from .attribution import AttributionDisplay
from .backtest import BacktestDisplay
from .forecast import ForecastDisplay
from .gates import GateDisplay
from .gradient_flow import GradientFlowDisplay
from .learning_curve import LearningCurveDisplay
from .network_diagram import UnrolledNetworkDisplay

__all__ = [
    "AttributionDisplay",
    "BacktestDisplay",
    "ForecastDisplay",
    "GateDisplay",
    "GradientFlowDisplay",
    "LearningCurveDisplay",
    "UnrolledNetworkDisplay",
]

# A pickle names a class by its module: the public one stays, wherever the code moves.
for _name in __all__:
    globals()[_name].__module__ = __name__
