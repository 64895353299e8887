"""Files are replaced whole, hashed alike everywhere, and tables keep names as they stand."""
import errno
import hashlib
import os

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import (digest, holding, new_array, read_csv, read_table, replacing, sha256, write_csv,
                                  write_text)
from tests.helpers.processes import held

KINDS = {"path": str, "fold": int, "score": float}
HEADER = "path,fold,score\n"
ODD = ["NA", "007", "1e5", "nan", "True", "null", "é, \"quoted\"", "-", " x"]


def test_a_file_is_replaced_when_it_is_whole_and_not_before(tmp_path):
    """After an error in the middle the old content stands, and nothing lies beside it."""
    path = tmp_path / "new" / "a.txt"
    write_text("old\r\n", path)
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half")
        _ = 1 / 0
    assert path.read_bytes() == b"old\r\n" and os.listdir(path.parent) == ["a.txt"]
    with replacing(path, ".mine") as part:
        part.write_text("new")
        assert part.name == "a.txt.mine.part"
    assert path.read_text() == "new" and os.listdir(path.parent) == ["a.txt"]


def test_what_another_process_holds_is_refused_until_it_ends_or_is_killed(tmp_path):
    target = tmp_path / "new" / "a.txt"
    for end in (lambda other: print(file=other.stdin, flush=True), lambda other: other.kill()):
        with held(target) as other:
            with pytest.raises(FiqaError, match=f"^the table is in use by process {other.pid} on "), holding(target, "the table"):
                raise AssertionError("two at once")
            with holding(target.with_name("b.txt")):
                end(other)
            other.wait()
            with holding(target):
                assert os.listdir(target.parent) == [".a.txt.lock"]
    assert os.listdir(target.parent) == []


def test_where_nothing_can_be_written_is_one_message(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for place in (tmp_path / "folder", tmp_path / "file" / "below"):
        with pytest.raises(FiqaError, match=f"{place.name} cannot be written: .*\n.*name another place"):
            write_text("x", place)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_hashes_are_those_of_the_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 100_000)
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest(path) == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def test_floats_are_rounded_or_cut_to_digits(tmp_path):
    table = pd.DataFrame({"name": ["a", "b", "c"], "x": [-1e-9, 1234567.125, np.nan], "n": [1, 2, 3]})
    write_csv(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"name,x,n\na,0.000000,1\nb,1234567.125000,2\nc,,3\n"
    write_csv(table, tmp_path / "a.csv", digits=6)
    assert (tmp_path / "a.csv").read_bytes() == b"name,x,n\na,-1e-09,1\nb,1.23457e+06,2\nc,,3\n"


def test_names_survive_a_table_of_the_package(tmp_path):
    """Whatever a person or a file is called; numbers beside them are numbers, an empty cell is missing."""
    x = [1.5, np.nan, *[2.0] * 7]
    table = pd.DataFrame({"identity": ODD, "image_id": ODD[::-1], "x": x, "n": range(9)})
    write_csv(table, tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv"), table, check_dtype=False)
    assert read_table(tmp_path / "a.csv")["x"].dtype == float


def test_names_survive_a_list_of_the_user(tmp_path):
    table = pd.DataFrame({"path": ODD, "fold": range(9), "score": np.linspace(0, 1, 9), "more": ODD})
    table.to_csv(tmp_path / "a.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n")
    read = read_csv(tmp_path / "a.csv", KINDS, "mend it")
    assert read["path"].tolist() == ODD and read["more"].tolist() == ODD
    assert read["fold"].tolist() == list(range(9)) and np.allclose(read["score"], table["score"])


def test_absent_columns_other_names_and_empty_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("file,score\n\nx,\ny,1e-3\n")
    read = read_csv(tmp_path / "a.csv", KINDS, "mend it", optional=("fold",), other_names={"file": "path"})
    assert read["path"].tolist() == ["x", "y"] and np.isnan(read["score"][0]) and read["score"][1] == 1e-3


@pytest.mark.parametrize(("content", "problem"), [
    (b"", "a.csv is empty"),
    (b" \n\n", "a.csv is empty"),
    ((HEADER + "x,1,2\n").encode("utf-16"), "a.csv is UTF-16 text"),
    ((HEADER + "x,1,2\ncaf\xe9,1,2\n").encode("latin-1"), "a.csv, line 3: not UTF-8 .byte 25 is 0xe9"),
    (b"\x89PNG\0\0\0", "a.csv is not a text file"),
    (b"path,fold\nx,1\n", "a.csv lacks column score"),
    (b"path,fold,score,fold\nx,1,2,3\n", "a.csv, line 1: column 'fold' stands twice"),
    ((HEADER + "x,1,2,3\n").encode(), "a.csv, line 2: more fields than the header names"),
    ((HEADER + "x,1,2\ny,1,2,3\nz,1,2\n").encode(), "a.csv, line 3: 4 fields, the header names 3"),
    ((HEADER + "x,1,2\n\ny,one,2\n").encode(), "a.csv, line 4: fold is 'one', which is no whole number"),
    ((HEADER + "x,1.5,2\ny,1.5,2\n").encode(),
     "a.csv, line 2: fold is '1.5', which is no whole number .2 such lines"),
    ((HEADER + "x,,2\n").encode(), "a.csv, line 2: fold is '', which is no whole number"),
    ((HEADER + "x,inf,2\n").encode(), "a.csv, line 2: fold is 'inf'"),
    ((HEADER + "x\n").encode(), "a.csv, line 2: fold is ''"),
    ((HEADER + "x,1,two\n").encode(), "a.csv, line 2: score is 'two', which is no number"),
])
def test_a_damaged_list_is_one_message_with_line_and_remedy(tmp_path, content, problem):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(FiqaError, match=problem + r".*\n  remedy: (mend it|save it as UTF-8|give the list)"):
        read_csv(tmp_path / "a.csv", KINDS, "mend it")


def test_a_table_that_is_not_there_or_damaged(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n1,2,3\n")
    for name, problem in (("none.csv", "is missing"), ("a.csv", "is damaged: .*line 3")):
        with pytest.raises(FiqaError, match=problem):
            read_table(tmp_path / name)


def test_an_array_takes_its_room_before_it_is_filled(tmp_path, monkeypatch):
    array = new_array(tmp_path / "a.npy", np.float32, (3, 2))
    array[1] = 5
    array.flush()
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 0], [5, 5], [0, 0]]

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(FiqaError, match="b.npy cannot be written: No space left"):
        with replacing(tmp_path / "b.npy") as part:
            new_array(part, np.float32, (3, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
