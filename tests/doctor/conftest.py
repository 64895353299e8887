"""An empty project for the doctor to look at."""
import pytest


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project and an empty weights folder."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path
