"""The commands behind ``python -m lightrnn``."""
