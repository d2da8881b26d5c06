"""Measurements of lightrnn beside its peers; `python -m bench` prints the tables, README.md says what each means."""
