"""Settings for every test: a cache of machine code for this run of sources, and Hypothesis without deadlines."""

import os
import tempfile
from pathlib import Path

# Before numba is imported. The kernels' directory below it is named by a digest of the sources, so it can be kept.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "lightrnn-tests"))

from hypothesis import HealthCheck, settings

collect_ignore = ["golden"]  # scripts that made the files there, with what need not be installed

settings.register_profile(
    "lightrnn", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("lightrnn")
