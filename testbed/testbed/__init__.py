"""The composition root: stack, scenarios, runner, verdict and command line."""

__version__ = "0.1.0"
