"""Tests of the course. Those that need the shipped networks and tables are skipped until these are there."""
import pytest

from fiqa_core.course.pack import PACK

NETWORKED = ("1.3", "1.4", "3.4", "4.4", "5.4")


def demand_networks() -> None:
    """Skip where nothing ships yet."""
    if not (PACK / "pack.npz").is_file():
        pytest.skip("the course's tables do not ship yet")
