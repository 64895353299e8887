"""Weights files of every format: read as written, recognised by content, and never half read."""
import io
import pickle
import random
import struct
import tarfile
import zipfile
from functools import partial

import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.tensors import read_tensors
from tests.helpers import weights_writers as writers

TENSORS = {"trunk/weights": torch.arange(6.0).reshape(2, 3) - 2.5, "trunk/biases": torch.tensor([0.25]),
           "trunk/count": torch.tensor([1, -2, 2**40, 7]), "wide": torch.linspace(-1, 1, 700).reshape(7, 100),
           "half": torch.tensor([[1.5], [-2.0]], dtype=torch.float16)}
FLAT = {"PyTorch": writers.torch_zip, "PyTorch before 1.6": writers.torch_old,
        "safetensors": writers.safetensors, "numpy archive": writers.npz,
        "TensorFlow graph": writers.tensorflow_graph, "TensorFlow checkpoint": writers.tensorflow_checkpoint,
        **{f"MXNet parameters {version}": partial(writers.mxnet, version=version) for version in (0, 1, 2)}}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name


def keras(path, tensors):
    score = {"score/kernel:0": tensors["trunk/weights"], "score/bias:0": tensors["trunk/biases"]}
    conv = {"conv1/7x7_s2/kernel:0": tensors["wide"]}
    writers.keras(path, {"conv1/7x7_s2": conv, "relu": {}, "score": score})


@pytest.mark.parametrize("kind", FLAT)
def test_a_file_is_read_as_it_was_written_whatever_its_name(tmp_path, kind):
    FLAT[kind](tmp_path / "weights.bin", TENSORS)
    same(read_tensors(tmp_path / "weights.bin"), TENSORS)


def test_a_keras_file_is_read_layer_by_layer(tmp_path):
    keras(tmp_path / "weights.bin", TENSORS)
    found = read_tensors(tmp_path / "weights.bin")
    assert list(found) == ["conv1/7x7_s2", "score"]
    same(found["score"], {"score/kernel:0": TENSORS["trunk/weights"],
                          "score/bias:0": TENSORS["trunk/biases"]})


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("kind", [*FLAT, "Keras HDF5"])
def test_a_file_that_was_cut_short_is_named_and_never_half_read(tmp_path, kind, part):
    path = tmp_path / "cut.index"
    FLAT.get(kind, keras)(path, TENSORS)
    content = path.read_bytes()
    path.write_bytes(content[:min(int(part * len(content)), len(content) - 1)])
    with pytest.raises(FiqaError, match=r"cut\.index is (damaged or cut short|no weights file)"):
        read_tensors(path)


@pytest.mark.parametrize("kind", FLAT)
def test_wrong_bytes_end_in_a_message_and_in_nothing_else(tmp_path, kind):
    """No checksum protects most formats, so that some damage goes unnoticed; but none crashes a reader."""
    path, rng, refused = tmp_path / "spoilt.index", random.Random(kind), 0
    FLAT[kind](path, TENSORS)
    good = path.read_bytes()
    for _ in range(60):
        content = bytearray(good)
        for _ in range(rng.choice((1, 1, 3))):
            content[rng.randrange(min(len(content), 1500))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            assert isinstance(read_tensors(path), dict)
        except FiqaError as error:
            refused += "spoilt" in str(error)
    assert refused


def test_an_empty_tensor_of_absurd_size_is_refused(tmp_path):
    writers.mxnet(tmp_path / "net.params", {"arg:a": torch.zeros(0, 2, 2)})
    assert read_tensors(tmp_path / "net.params")["arg:a"].shape == (0, 2, 2)
    content = (tmp_path / "net.params").read_bytes()
    absurd = content.replace(struct.pack("<qq", 2, 2), struct.pack("<qq", 2**40, 2**40))
    (tmp_path / "net.params").write_bytes(absurd)
    with pytest.raises(FiqaError, match="net.params is damaged"):
        read_tensors(tmp_path / "net.params")


def test_a_checkpoint_of_tensorflow_goes_by_any_of_its_names(tmp_path, monkeypatch):
    writers.tensorflow_checkpoint(tmp_path / "ckpt-3000.index", TENSORS)
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path))
    for name in ("ckpt-3000", "ckpt-3000.index", "ckpt-3000.data-00000-of-00001"):
        same(read_tensors(name), TENSORS)


def test_a_checkpoint_of_tensorflow_needs_its_whole_data(tmp_path):
    writers.tensorflow_checkpoint(tmp_path / "ckpt.index", TENSORS)
    data = tmp_path / "ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(FiqaError, match="ckpt.data-00000-of-00001 lacks 100 bytes of the variable"):
        read_tensors(tmp_path / "ckpt.index")
    data.unlink()
    with pytest.raises(FiqaError, match="ckpt.data-00000-of-00001 is not beside it"):
        read_tensors(tmp_path / "ckpt.index")


def test_constants_of_a_graph_in_all_spellings(tmp_path):
    one, many, count = torch.tensor([0.5]), torch.full((2, 2), 3.0), torch.tensor(-4, dtype=torch.int32)
    text = writers.field(1, "text") + writers.field(2, "Const") + writers.field(5, writers.field(1, "value")
           + writers.field(2, writers.field(8, writers.field(1, 7) + writers.field(8, "words"))))
    (tmp_path / "graph.pb").write_bytes(
        writers.constant("single", one, writers.field(5, writers.raw(one)))
        + writers.constant("repeated", many, writers.field(5, writers.raw(many[0, :1])))
        + writers.constant("whole", count, writers.field(7, -4))
        + writers.constant("packed", torch.tensor([3, -1]), writers.field(10, writers.varint(3)
                                                                         + writers.varint(2**64 - 1)))
        + writers.field(1, text))
    same(read_tensors(tmp_path / "graph.pb"),
         {"single": one, "repeated": many, "whole": count, "packed": torch.tensor([3, -1])})


@pytest.mark.parametrize("content, message", [
    (b"", "is empty"),
    (b"nothing that is known", "is no weights file of a known format"),
    (b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>", "is a web page, no weights"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "is a Git LFS pointer"),
    (b"\x1f\x8b\x08" + bytes(20), "is a gzip archive"),
    (pickle.dumps({"a": 1}), "is a Python pickle that PyTorch did not write"),
    (b"PK\x03\x04 cut off", r"is damaged or cut short \(zip archive\)")])
def test_what_is_no_weights_file_is_called_by_its_name(tmp_path, content, message):
    (tmp_path / "download.pth").write_bytes(content)
    with pytest.raises(FiqaError, match=f"download.pth {message}"):
        read_tensors(tmp_path / "download.pth")


def test_archives_are_told_apart(tmp_path):
    def archive(*names):
        with zipfile.ZipFile(tmp_path / "archive", "w") as file:
            for name in names:
                file.writestr(name, b"content")

    archive("pfe/ckpt-1.index", "pfe/ckpt-1.data-00000-of-00001")
    with pytest.raises(FiqaError, match="archive of 2 files: pfe/ckpt-1.index.*\n.*unpack"):
        read_tensors(tmp_path / "archive")
    archive("model/data.pkl", "model/constants.pkl", "model/code/net.py")
    with pytest.raises(FiqaError, match="TorchScript program.*could run code"):
        read_tensors(tmp_path / "archive")
    with tarfile.open(tmp_path / "archive", "w") as file:
        file.addfile(tarfile.TarInfo("net.pth"), io.BytesIO())
    with pytest.raises(FiqaError, match="is a tar archive"):
        read_tensors(tmp_path / "archive")


def test_arrays_of_objects_and_sparse_arrays_are_refused(tmp_path):
    import numpy as np
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with pytest.raises(FiqaError, match="objects.npz.*allow_pickle"):
        read_tensors(tmp_path / "objects.npz")
    writers.mxnet(tmp_path / "sparse.params", {"arg:a": torch.zeros(2)})
    content = bytearray((tmp_path / "sparse.params").read_bytes())
    content[28] = 1                                     # the storage type after header, count and version
    (tmp_path / "sparse.params").write_bytes(content)
    with pytest.raises(FiqaError, match="sparse array"):
        read_tensors(tmp_path / "sparse.params")


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path))
    with pytest.raises(FiqaError, match="absent.pth is not there\n.*weights list"):
        read_tensors("absent.pth")
