"""Pairs on disk: text or binary, the same table either way; damaged files are named."""
import dataclasses

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import load_face_set, read_pairs, template_codes, used_templates, write_pairs
from tests.helpers.small_project import face_set

PAIRS = pd.DataFrame(
    {"a": ["t1", "t2", "t1"], "b": ["t3", "t3", "t2"], "genuine": [1, 0, 0], "fold": [1, 2, -1]}
)


def categorical(pairs: pd.DataFrame, *names: str) -> pd.DataFrame:
    kind = pd.CategoricalDtype(list(names))
    return pairs.assign(a=pairs["a"].astype(kind), b=pairs["b"].astype(kind))


def test_small_pairs_stay_text_and_many_become_binary(tmp_path):
    assert write_pairs(PAIRS, tmp_path).name == "pairs.csv" and read_pairs(tmp_path).equals(PAIRS)
    assert (tmp_path / "pairs.csv").read_text() == "a,b,genuine,fold\nt1,t3,1,1\nt2,t3,0,2\nt1,t2,0,-1\n"
    assert write_pairs(PAIRS, tmp_path, limit=2).name == "pairs.npz" and not (tmp_path / "pairs.csv").exists()
    first = (tmp_path / "pairs.npz").read_bytes()
    loaded = read_pairs(tmp_path)
    assert isinstance(loaded["a"].dtype, pd.CategoricalDtype) and loaded["a"].dtype == loaded["b"].dtype
    assert loaded.astype(PAIRS.dtypes.to_dict()).equals(PAIRS)
    write_pairs(categorical(PAIRS, "t1", "t2", "t3", "unused"), tmp_path, limit=2)
    assert (tmp_path / "pairs.npz").read_bytes() == first
    write_pairs(loaded, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"] and read_pairs(tmp_path).equals(PAIRS)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda arrays: arrays.pop("fold"), "fold is not a file in the archive"),
        (lambda arrays: arrays.update(fold=arrays["fold"][:2]), "columns of wrong length"),
        (lambda arrays: arrays.update(b=np.array([0, 9, 1])), "b of wrong template numbers"),
        (lambda arrays: arrays.update(a=np.array([0, -1, 1])), "a of wrong template numbers"),
        (
            lambda arrays: arrays.update(templates=np.array(["t1", None, "t3"], dtype=object)),
            "allow_pickle=False",
        ),
    ],
)
def test_damaged_pairs_are_named(tmp_path, change, message):
    path = write_pairs(PAIRS, tmp_path, limit=2)
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(FiqaError, match=f"pairs.npz is damaged: .*{message}.*\n.*dvc repro prepare"):
        read_pairs(tmp_path)


def test_missing_and_cut_off_pairs(tmp_path):
    with pytest.raises(FiqaError, match="pairs.csv is missing"):
        read_pairs(tmp_path)
    path = write_pairs(PAIRS, tmp_path, limit=2)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FiqaError, match="pairs.npz is damaged"):
        read_pairs(tmp_path)


def test_codes_of_text_and_of_categories_agree():
    names = pd.Index(["t3", "t1", "t2"])
    coded = categorical(PAIRS, "t2", "unused", "t1", "t3")
    for side in "ab":
        assert template_codes(PAIRS[side], names).tolist() == template_codes(coded[side], names).tolist()
    assert sorted(used_templates(coded)) == sorted(used_templates(PAIRS)) == ["t1", "t2", "t3"]
    lost = coded.assign(a=coded["a"].cat.remove_categories("t2"))
    assert template_codes(lost["a"], names).tolist() == [1, -1, 1] and used_templates(lost).isna().sum() == 1


def test_saving_a_loaded_face_set_over_itself_keeps_its_pixels(tmp_path):
    faces = face_set(8)
    faces.save(tmp_path / "LFW")
    inode = (tmp_path / "LFW" / "pixels.npy").stat().st_ino
    loaded = load_face_set(tmp_path / "LFW")
    loaded.save(tmp_path / "LFW")
    assert (tmp_path / "LFW" / "pixels.npy").stat().st_ino == inode
    upside_down = dataclasses.replace(loaded, pixels=loaded.pixels[::-1])
    upside_down.save(tmp_path / "LFW")
    assert np.array_equal(load_face_set(tmp_path / "LFW").pixels, faces.pixels[::-1])
