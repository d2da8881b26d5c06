"""The commands of ``python -m lightrnn``."""
