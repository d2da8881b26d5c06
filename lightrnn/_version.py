"""The version of the package, which saved files record as well."""

__version__ = "0.1.0"
