"""Loaders of CALFW and CPLFW: small sets of the true form, one defect at a time."""
from importlib import import_module

import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.benchmarks.loaders import load_listing
from tests.helpers.forms_writers import change_line
from tests.helpers.true_forms import write_calfw, write_cplfw


def notes(listing) -> str:
    return "\n".join(listing.notes)


def test_calfw_of_full_size(tmp_path):
    path = write_calfw(tmp_path, per_fold=300, touch=True)
    assert len(path.read_text().splitlines()) == 12000
    listing = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    table = listing.pairs.groupby(["genuine", "fold"]).size()
    assert table.tolist() == [300] * 20 and table.index.tolist() == [
        (g, f) for g in (0, 1) for f in range(1, 11)
    ]
    assert listing.images["identity"][0] == "Ann_a_0" and listing.images["image_id"][0] == "Ann_a_0_0001.jpg"
    assert (
        len(listing.notes) == 1 and "is not the list revised on 2018-09-19: its sha256 is" in listing.notes[0]
    )


def test_the_revised_list_is_known_by_its_digest(tmp_path, monkeypatch):
    path = write_calfw(tmp_path)
    monkeypatch.setattr(import_module("fiqa_core.benchmarks.loaders.calfw"), "REVISED", sha256(path))
    listing = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert f"is the list revised on 2018-09-19 (sha256 {sha256(path)})" in notes(listing)


def test_calfw_pairs_in_another_order_have_no_folds(tmp_path):
    path = write_calfw(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[20:] + lines[:20]))
    with pytest.raises(FiqaError, match=r"line 21: a genuine pair \(token 1\) after impostor pairs"):
        load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    path.write_text("\n".join(lines[:30]))
    listing = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert listing.pairs["fold"].tolist() == [*range(1, 11), -1, -1, -1, -1, -1]
    assert "impostor pairs are not as many as genuine ones" in notes(listing)


def test_originals_and_aligned_copies_are_not_mixed_up(tmp_path):
    path = write_calfw(tmp_path)
    aligned = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert "taken as aligned to the ArcFace template" in notes(aligned)
    (tmp_path / "aligned images").mkdir()
    (tmp_path / "aligned images" / "Ann_a_0_0001.jpg").touch()
    with pytest.raises(FiqaError, match="holds the images several times: .*aligned images, .*images"):
        load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert len(load_listing("calfw", "CALFW", folder=tmp_path / "images", pairs=path)) == 30
    (tmp_path / "none").mkdir()
    with pytest.raises(FiqaError, match="none holds no image of the list, Ann_a_0_0001.jpg for one"):
        load_listing("calfw", "CALFW", folder=tmp_path / "none", pairs=path)


def test_cplfw_labels_names_and_folds(tmp_path):
    listing = load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=write_cplfw(tmp_path))
    assert listing.pairs["genuine"].tolist() == [1, 0] * 10
    assert listing.pairs["fold"].tolist() == [fold for fold in range(1, 11) for _ in "ab"]
    assert listing.images.iloc[1].tolist()[:2] == ["Ann_0_12.jpg", "Ann_0"]
    assert "some published impostor pairs show one person" in notes(listing)
    assert "10 genuine pairs, published are 3,000" in notes(listing)


def test_cplfw_genuine_first_has_no_folds(tmp_path):
    path = write_cplfw(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(sorted(lines, key=lambda line: -int(line[-1]))))
    listing = load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=path)
    assert (listing.pairs["fold"] == -1).all() and "folds are unknown (-1)" in notes(listing)


def test_a_wrong_label_among_thousands_is_kept_and_noted(tmp_path):
    path = write_cplfw(tmp_path, pairs=200, touch=True)
    change_line(path, 4, "Ann_0_12.jpg 0")
    listing = load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=path)
    assert "line 3: 1 of 200 labels contradict" in notes(listing) and "kept as published" in notes(listing)
    assert len(listing.pairs) == 200
