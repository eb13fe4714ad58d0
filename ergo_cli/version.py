"""The version of ergo: one place for the package, the build and the commands."""

__version__ = "0.1.0"
