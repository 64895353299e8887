"""Training that is killed and started again must end as training that ran through."""
import pytest
import torch

from fiqa_core.training import fitting


def check_interruption(train, folder, monkeypatch, after: int = 4) -> None:
    """`train(checkpoint, log)` gives one model and one log whether or not it is killed on the way.

    Every chance to save is taken; the run is killed at the `after`-th, so that the work since the one before is
    lost, and then called again.
    """
    whole = train(folder / "whole.pt", folder / "whole.csv")
    save, load, count, found = fitting.Resume.save, fitting.Resume.load, [], []

    def killing(self, state, always=False):
        count.append(1)
        if len(count) == after:
            raise KeyboardInterrupt
        save(self, state, True)

    def loading(self):
        found.append(load(self))
        return found[-1]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fitting.Resume, "save", killing)
        train(folder / "cut.pt", folder / "cut.csv")
    torch.rand(7)                   # whatever else drew random numbers in between must not matter
    with monkeypatch.context() as patch:
        patch.setattr(fitting.Resume, "load", loading)
        resumed = train(folder / "cut.pt", folder / "cut.csv")
    assert found[-1] is not None
    states = [model.state_dict() for model in (whole, resumed)]
    assert states[0].keys() == states[1].keys() and all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert (folder / "whole.csv").read_bytes() == (folder / "cut.csv").read_bytes()
