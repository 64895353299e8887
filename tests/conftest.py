"""What holds for every test: one thread, the same random numbers, fixtures that several modules use."""
import torch

from tests.helpers.weights_shop import shop

__all__ = ["shop"]

torch.set_num_threads(1)  # small networks gain nothing from more, and suffer from busy cores


def pytest_runtest_setup():
    torch.manual_seed(0)  # whatever a test draws without a generator, whichever test ran before it


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: "pipeline" not in item.keywords)  # the longest first: all others run beside it
