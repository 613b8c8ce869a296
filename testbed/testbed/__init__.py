"""The composition root: stack, scenarios, runner, verdict and command line."""
