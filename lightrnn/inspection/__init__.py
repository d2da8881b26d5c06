"""Inspect a fitted network: how far back it remembers, by which gates, and what it is made of.

`gradient_flow` and `memory_horizon` measure how far back the memory reaches, `gate_activations` and
`gate_summary` which gates keep it, and `attribution` which steps and features an output rests on.
`parameter_table` counts parameters, and `describe` reports all of it in one text, and what a
forecaster has chosen. `network_inputs` gives the sequences that a forecaster's networks read. Every
function returns arrays or tables; `lightrnn.plotting` draws them.
"""

# Some functions have the name of their module: here the name is always that of the function.
from .attribution import attribution
from .attributions import Attribution, Ranking
from .forecaster import network_inputs
from .gates import GateSummary, gate_activations, gate_summary
from .gradient_flow import GradientFlow, LayerFlow, gradient_flow
from .memory_horizon import MemoryHorizon, memory_horizon
from .parameter_table import ParameterTable, Part, parameter_table
from .report import describe

__all__ = [
    "Attribution",
    "GateSummary",
    "GradientFlow",
    "LayerFlow",
    "MemoryHorizon",
    "ParameterTable",
    "Part",
    "Ranking",
    "attribution",
    "describe",
    "gate_activations",
    "gate_summary",
    "gradient_flow",
    "memory_horizon",
    "network_inputs",
    "parameter_table",
]

# A pickle names a class by its module: the public one stays, wherever the code moves.
for _class in (
    Attribution,
    GateSummary,
    GradientFlow,
    LayerFlow,
    MemoryHorizon,
    ParameterTable,
    Part,
    Ranking,
):
    _class.__module__ = __name__
