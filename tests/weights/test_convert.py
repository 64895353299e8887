"""Pickles that hold more than tensors: refused as they are, rewritten without running anything in them."""
import argparse
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.convert import convert
from fiqa_core.weights.tensors import read_tensors
from tests.helpers import weights_writers as writers

WEIGHTS = OrderedDict({"model.conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
                       "model.bn.num_batches_tracked": torch.tensor(7),
                       "model.half": torch.ones(3, dtype=torch.bfloat16),
                       "model.turned": torch.arange(6.0).reshape(2, 3).T})


class Call:
    """Pickled, a call of `function` with `arguments` at loading time."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def lightning(extra):
    """A checkpoint as Lightning writes them, with `extra` among its hyper-parameters."""
    return {"epoch": 25, "state_dict": WEIGHTS, "optimizer_states": [{"momentum": torch.rand(5)}],
            "hyper_parameters": {"lr": 0.1, "extra": extra}}


def hostile(kind, place):
    """What would create the file `place` if it were loaded the usual way."""
    return {"touch": Call(Path.touch, place), "open": Call(open, str(place), "w"),
            "eval": Call(eval, f"open({str(place)!r}, 'w')"),
            "exec": Call(exec, f"open({str(place)!r}, 'w')"),
            "import": Call(__import__("os").system, f"touch {place}")}[kind]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", ["touch", "open", "eval", "exec", "import"])
def test_a_hostile_pickle_runs_neither_when_loaded_nor_when_converted(tmp_path, kind, old):
    place, source, target = tmp_path / "created", tmp_path / "hostile.ckpt", tmp_path / "plain.pth"
    torch.save(lightning(hostile(kind, place)), source, _use_new_zipfile_serialization=not old)
    with pytest.raises(FiqaError, match="could run code.*\n.*weights convert"):
        read_tensors(source)
    left_out = convert(source, target)
    assert not place.exists()
    assert {"touch": "getattr", "open": "io.open", "eval": "eval", "exec": "exec",
            "import": "system"}[kind] in " ".join(left_out)
    found = read_tensors(target)
    assert found["epoch"] == 25 and "extra" not in found["hyper_parameters"]
    assert found["state_dict"].keys() == WEIGHTS.keys()
    assert all(torch.equal(found["state_dict"][key], tensor) for key, tensor in WEIGHTS.items())


def test_the_same_file_would_run_in_the_usual_way(tmp_path):
    """The hostile objects of these tests are what they claim to be."""
    for kind in ("touch", "open", "eval", "exec", "import"):
        place = tmp_path / kind
        pickle.loads(pickle.dumps(hostile(kind, place)))
        assert place.exists(), kind


def test_objects_of_all_sorts_are_left_out(tmp_path):
    extra = [argparse.Namespace(lr=0.1, milestones=[1, 2]), {1, 2}, slice(3), Path("somewhere"), 3j, range(4)]
    torch.save(lightning(extra), tmp_path / "run.ckpt")
    with pytest.raises(FiqaError, match="could run code"):
        read_tensors(tmp_path / "run.ckpt")
    assert "argparse.Namespace" in convert(tmp_path / "run.ckpt", tmp_path / "plain.pth")
    found = read_tensors(tmp_path / "plain.pth")
    assert found["hyper_parameters"] == {"lr": 0.1} and len(found["state_dict"]) == len(WEIGHTS)


@pytest.mark.parametrize("old", [False, True])
def test_a_whole_module_becomes_its_state_dict(tmp_path, old):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Sequential(torch.nn.BatchNorm2d(2)))
    torch.save({"epoch": 1, "model": network}, tmp_path / "whole.tar", _use_new_zipfile_serialization=not old)
    assert "torch.nn.modules.conv.Conv2d" in convert(tmp_path / "whole.tar", tmp_path / "plain.pth")
    found, wanted = read_tensors(tmp_path / "plain.pth")["model"], network.state_dict()
    assert found.keys() == wanted.keys() and all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_other_formats_become_plain_files_as_well(tmp_path):
    writers.tensorflow_graph(tmp_path / "graph.pb", {"a": torch.ones(2, 3)})
    assert convert(tmp_path / "graph.pb", tmp_path / "plain.pth") == []
    assert torch.equal(read_tensors(tmp_path / "plain.pth")["a"], torch.ones(2, 3))


def rewritten(source, target, change, compression=zipfile.ZIP_STORED):
    """Copy an archive with `change(name, content)` applied to its entries."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))


def test_sizes_are_checked_against_the_bytes(tmp_path):
    torch.save({"a": torch.zeros(16), "b": Call(list, ())}, tmp_path / "good.pth")
    for name, change, compression, reason in (
            ("short", lambda name, data: data[:-8] if name.endswith("data/0") else data, zipfile.ZIP_STORED,
             "56 bytes for torch.float32"),
            ("bomb", lambda name, data: data, zipfile.ZIP_DEFLATED, "is compressed"),
            ("larger", lambda name, data: data.replace(b"K\x10\x85", b"K\x7f\x85"), zipfile.ZIP_STORED,
             r"a tensor of \[127\] in 16 values"),
            ("foreign", lambda name, data: data.replace(b"storage", b"stowage"), zipfile.ZIP_STORED,
             "refers to a stowage")):
        rewritten(tmp_path / "good.pth", tmp_path / f"{name}.pth", change, compression)
        with pytest.raises(FiqaError, match=f"{name}.pth cannot be taken apart without its code: .*{reason}"):
            convert(tmp_path / f"{name}.pth", tmp_path / "plain.pth")
    assert not (tmp_path / "plain.pth").exists()


def test_a_tree_that_contains_itself_ends(tmp_path):
    tree = {"a": torch.zeros(1), "path": Path("x")}
    tree["again"] = tree
    torch.save(tree, tmp_path / "endless.pth")
    convert(tmp_path / "endless.pth", tmp_path / "plain.pth")
    assert torch.equal(read_tensors(tmp_path / "plain.pth")["again"]["again"]["a"], torch.zeros(1))


def test_a_file_does_not_overwrite_itself(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(FiqaError, match="overwrite itself"):
        convert(tmp_path / "a.pth", tmp_path / "a.pth")
