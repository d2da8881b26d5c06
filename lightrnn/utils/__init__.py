"""Checks of arguments, tables for a terminal, and archives of arrays."""
