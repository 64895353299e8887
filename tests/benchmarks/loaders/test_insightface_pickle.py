"""A .bin from a stranger: what its pickle asks for is never run, and damage ends in a message."""
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import load_listing
from fiqa_core.benchmarks.loaders.insightface_bin import read_pickle
from tests.helpers.true_forms import python2_array


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    return path


def load(path):
    return load_listing("insightface_bin", "CFP-FP", file=path)


class Hostile:
    """Pickles as the call of `function`, which would leave a file as its trace."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("function, name",
    [(os.system, "posix.system"), (eval, "(__builtin__|builtins).eval"), (np.save, r"numpy\S*.save")])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, function, name, protocol):
    trace = tmp_path / "trace"
    arguments = {os.system: (f"touch {trace}",), eval: (f"open({str(trace)!r}, 'w')",),
                 np.save: (str(trace), [1])}
    data = pickle.dumps(([Hostile(function, *arguments[function])], [True]), protocol)
    with pytest.raises(FiqaError,
                       match=f"it asks for {name}; nothing was run\n.*never open it with Python's own"):
        load(write(tmp_path / "x.bin", data))
    assert list(tmp_path.iterdir()) == [tmp_path / "x.bin"]


def test_the_same_hostile_pickle_would_run_elsewhere(tmp_path):
    data = pickle.dumps(Hostile(os.system, f"touch {tmp_path / 'trace'}"))
    pickle.loads(data)
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "data, message",
    [
        (b"\x80\x02c_codecs\nencode\nU\x04rot1U\x05rot13\x86R.", "it asks for the codec"),
        (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "an empty bytearray of a given size"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "more memory than its size explains"),
        (b"]p2147483647\n.", "more memory than its size explains"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "it asks for numpy.ndarray.tofile"),
        (b"\x80\x02cnumpy.core.multiarray\nscalar\nq\x00}U\x09__class__Nsb.", None),
        (b"\x80\x02P\n.", "not a"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"short.", "not a complete pickle"),
    ],
)
def test_ways_around_the_list_of_names(tmp_path, data, message):
    path = write(tmp_path / "x.bin", data)
    if message is None:  # a state for a function: recorded nowhere, and the next file is read as ever
        read_pickle(path)
        assert read_pickle(write(path, (1, np.arange(3, dtype="u1"))))[1].raw == b"\x00\x01\x02"
        return
    with pytest.raises(FiqaError, match=message):
        read_pickle(path)


def test_an_array_of_objects_is_never_made(tmp_path):
    """numpy would take the bytes of this array for pointers, since its dtype's flags are the pickle's say."""
    dtype = b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    image = python2_array(b"A" * 8).split(b"cnumpy\ndtype")[0] + dtype + b"\x89T\x08\x00\x00\x00AAAAAAAAtb"
    data = b"\x80\x02](" + image + b"T\x01\x00\x00\x00xe](\x88\x89e\x86."
    with pytest.raises(FiqaError, match="2 images for 2 labels"):
        load(write(tmp_path / "x.bin", data))
    data = b"\x80\x02](" + image + b"T\x01\x00\x00\x00x" * 3 + b"e](\x88\x89e\x86."
    with pytest.raises(FiqaError, match="image 0 is an array of type O8"):
        load(write(tmp_path / "x.bin", data))


SMALL = pickle.dumps(([np.arange(9, dtype="u1"), b"abc"] * 2, [True, np.True_]), 2)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_end_in_a_message(tmp_path, edits):
    data = bytearray(SMALL)
    for place, value in edits:
        data[place] = value
    try:
        load(write(tmp_path / "x.bin", bytes(data)))
    except FiqaError:
        pass
