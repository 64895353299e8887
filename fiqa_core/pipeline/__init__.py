"""One file per stage, and what stages share: suites, runner, half-finished work."""
