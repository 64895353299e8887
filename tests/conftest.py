"""Fixtures that several test modules use."""
from tests.helpers.weights_shop import shop

__all__ = ["shop"]
