"""Measurements of lightrnn and its peers; `python -m bench` prints the tables, see README.md."""
