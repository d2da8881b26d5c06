"""Settings for all tests: where machine code is cached, and Hypothesis without deadlines."""

import os
import tempfile
from pathlib import Path

# This must be set before numba is imported. The kernels' directory below it is named by a digest of
# their sources, so it can be kept from run to run.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "lightrnn-tests"))

from hypothesis import HealthCheck, settings

collect_ignore = ["golden"]  # scripts that made its files; they need packages that tests do not

settings.register_profile(
    "lightrnn", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("lightrnn")
