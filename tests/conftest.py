"""Fixtures that several test modules use."""
from tests.weights_shop import shop

__all__ = ["shop"]
