"""Settings for every run of pytest, of single files too."""

# pytest executes a module that was not imported before a second time, and then puts it into its
# package under its own name. `lightrnn.inspection.attribution` would be the module instead of the
# function of this name when only that file's doctests run.
import lightrnn.inspection  # noqa: F401
