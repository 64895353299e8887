"""The large official forms are reached by name, with the options that a suite's file may give."""
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import load_listing
from tests.benchmarks.loaders.test_recordio import records
from tests.helpers.forms_writers import (write_adience, write_ijbc, write_ijbc_nist, write_recordio,
                                         write_ytf, write_ytf_mat)

FORMS = [
    ("ijbc", write_ijbc, {}, 7, 6),
    ("ijbc_nist", write_ijbc_nist, {"margin": 1.5}, 7, 5),
    ("adience", write_adience, {"genuine": 5, "impostor": 4, "per_identity": 2}, None, 9),
    ("ytf", write_ytf, {"variant": "aligned", "frames": 2}, 12, 4),
    ("recordio", lambda folder: write_recordio(folder, records(), 3), {"per_identity": 2}, 5, 0),
]
DAMAGES = {
    "empty": lambda whole, stream: b"",
    "cut": lambda whole, stream: whole[: len(whole) * 2 // 3],
    "noise": lambda whole, stream: stream.bytes(len(whole)),
    "wide": lambda whole, stream: whole.replace(b"\n", b" , \t 7\n"),
    "stretched": lambda whole, stream: whole.replace(b"1", "²".encode()),
}
SUBTLE = ("cut", "wide")  # may leave a shorter list, or columns that the form allows


@pytest.mark.parametrize("form, write, options, images, pairs", FORMS)
def test_forms(tmp_path, form, write, options, images, pairs):
    listing = load_listing(form, "set", folder=str(write(tmp_path / "set")), **options)
    assert listing.name == "set" and len(listing.pairs) == pairs
    assert images is None or len(listing) == images
    assert set(listing.pairs["a"]) | set(listing.pairs["b"]) <= set(listing.images["template_id"])
    with pytest.raises(FiqaError, match=f"form {form} has no option speed"):
        load_listing(form, "set", folder=tmp_path, speed=3)


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "wide", "stretched"])
@pytest.mark.parametrize("form, write", [pair[:2] for pair in FORMS])
def test_a_damaged_file_is_refused_or_read_never_a_crash(tmp_path, form, write, damage):
    folder = write(tmp_path / "set")
    if form == "ytf":
        write_ytf_mat(folder)
        (folder / "splits.txt").rename(folder / "meta_data" / "splits.txt")
    texts = [path for path in folder.rglob("*")
             if path.suffix in (".txt", ".csv", ".idx", ".rec", ".mat", "")]
    stream = np.random.default_rng(0)
    refused = 0
    for path in (path for path in texts if path.is_file()):
        whole = path.read_bytes()
        path.write_bytes(DAMAGES[damage](whole, stream))
        try:
            load_listing(form, "set", folder=folder)
        except FiqaError as error:
            refused += str(folder) in str(error) or path.name in str(error)
        path.write_bytes(whole)
    assert refused > 0 or damage in SUBTLE
