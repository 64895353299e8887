"""A small project to explore, with four people to compare with instead of forty."""
import pytest

from fiqa_core.explore import reference
from fiqa_core.explore.kit import kit_of
from tests.helpers.small_explorer import forget, small_explorer


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The project; what the explorer keeps in it serves all modules."""
    folder = tmp_path_factory.mktemp("explorer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIQA_ROOT", str(folder))
        small_explorer(folder)
    return folder


@pytest.fixture(scope="module")
def root(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIQA_ROOT", str(folder))
        patch.setattr(reference, "PEOPLE", 4)
        patch.setattr(reference, "IMPOSTORS", 200)
        forget()
        yield folder
    forget()


@pytest.fixture(scope="module")
def kit(root):
    return kit_of("")


@pytest.fixture(scope="module")
def faces(kit):
    """The faces to compare with, everything known of them."""
    found = reference.reference_of(reference.OWN)
    for _ in found.work(kit):
        pass
    return found
