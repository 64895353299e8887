"""The workbook's own form: folders with and without images.csv and pairs.csv, one defect at a time."""
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import write_image
from fiqa_core.benchmarks.loaders import load_listing
from tests.helpers.true_forms import face

PEOPLE = ("Ann", "Bob", "Cyd")


@pytest.fixture
def place(tmp_path):
    """Three people with two images each, pairs.csv of three genuine and three impostor pairs."""
    for row, person in enumerate(PEOPLE):
        for number in (1, 2):
            write_image(tmp_path / person / f"{number}.png", face(10 * row + number))
    rows = [f"{p}/1.png,{p}/2.png,1,{i}" for i, p in enumerate(PEOPLE)]
    rows += [f"{p}/1.png,{PEOPLE[i - 1]}/2.png,0,{i}" for i, p in enumerate(PEOPLE)]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,label,fold", *rows]) + "\n")
    return tmp_path


def write_images(place, clips: bool = False):
    """images.csv with own ids; `clips`: the two images of a person are frames of one clip, one template."""
    clip = {person: f"{person}-clip" if clips else "" for person in PEOPLE}
    rows = [f"{p.lower()}{n},{p}/{n}.png,{p} Smith,{clip[p]},{clip[p]},{n - 1},x{n}" for p in PEOPLE
            for n in (1, 2)]
    header = "image_id,path,identity,media_id,template_id,fte,camera"
    (place / "images.csv").write_text("\n".join([header, *rows]) + "\n")
    text = (place / "pairs.csv").read_text()
    for p in PEOPLE:
        for n in (1, 2):
            text = text.replace(f"{p}/{n}.png", f"{p.lower()}{n}")
    (place / "pairs.csv").write_text(text)


def load(place, **options):
    return load_listing("folders", "My faces", folder=place, **options)


def test_paths_name_images_and_folders_name_people(place):
    listing = load(place)
    assert listing.images["image_id"].tolist() == [f"{p}/{n}.png" for p in PEOPLE for n in (1, 2)]
    assert listing.images["identity"].tolist() == [p for p in PEOPLE for _ in "12"]
    assert listing.pairs.iloc[3].tolist() == ["Ann/1.png", "Cyd/2.png", 0, 0]
    assert listing.pairs["genuine"].dtype == listing.pairs["fold"].dtype == "int64"
    assert (listing.read(3) == face(12)).all() and listing.aligned and listing.notes == ()


def test_without_pairs_nothing_is_compared(place):
    (place / "pairs.csv").unlink()
    listing = load(place)
    assert len(listing) == 6 and len(listing.pairs) == 0
    (place / "loose.png").write_bytes((place / "Ann/1.png").read_bytes())
    with pytest.raises(FiqaError, match="1 images lie in no person's folder: loose.png"):
        load(place)


def test_only_images_in_pairs_are_read(place):
    write_image(place / "Dan" / "1.png", face(40))
    assert "Dan" not in set(load(place).images["identity"])
    (place / "pairs.csv").unlink()
    assert "Dan" in set(load(place).images["identity"])


def test_lists_of_photographs_are_read_too(place):
    table = pd.read_csv(place / "pairs.csv").rename(
        columns={"a": "path_a", "b": "path_b", "label": "genuine"}
    )
    table.drop(columns="fold").assign(source="web").to_csv(place / "list.csv", index=False)
    (place / "pairs.csv").unlink()
    listing = load(place, pairs=place / "list.csv")
    assert (listing.pairs["fold"] == -1).all() and listing.pairs["genuine"].tolist() == [1, 1, 1, 0, 0, 0]


def test_images_csv_names_ids_people_and_failures(place):
    write_images(place)
    listing = load(place)
    first = listing.images.iloc[1].to_dict()
    assert first == {"image_id": "ann2", "identity": "Ann Smith", "template_id": "ann2", "media_id": "ann2",
                     "fte": 1, "camera": "x2"}  # fmt: skip
    assert (listing.read(2) == face(11)).all()
    with pytest.raises(FiqaError, match=r"Ann/2.png is listed as a failure \(fte = 1\)"):
        listing.read(1)


def test_templates_are_compared(place):
    write_images(place, clips=True)
    (place / "pairs.csv").write_text("a,b,label\nAnn-clip,Bob-clip,0\n")
    listing = load(place)
    assert listing.images["template_id"].tolist() == [f"{p}-clip" for p in PEOPLE for _ in "12"]
    assert listing.pairs.iloc[0].tolist() == ["Ann-clip", "Bob-clip", 0, -1]
    (place / "Ann/1.png").unlink()
    assert len(load(place, allow_missing=True).pairs) == 1  # the template has another image
    (place / "Ann/2.png").unlink()
    write_image(place / "Cyd/3.png", face(3))
    with (place / "pairs.csv").open("a") as file:
        file.write("Bob-clip,Cyd-clip,0\n")
    listing = load(place, allow_missing=True)
    assert listing.pairs["a"].tolist() == ["Bob-clip"] and len(listing) == 4
    assert "2 of 6 images are not in" in listing.notes[0]
    assert "1 of 2 pairs were left out for want of their images" in listing.notes[1]


def test_files_that_are_not_there(place):
    with pytest.raises(FiqaError, match="face folder .*none is missing"):
        load(place / "none")
    with pytest.raises(FiqaError, match=r"table \(pairs.csv\) .*other.csv is missing"):
        load(place, pairs=place / "other.csv")
    (place / "pairs.csv").write_text("")
    with pytest.raises(FiqaError, match="pairs.csv is empty"):
        load(place)
    (place / "pairs.csv").write_bytes(b"\xff\xfe\x00a,b")
    with pytest.raises(FiqaError, match="pairs.csv is UTF-16 text"):
        load(place)
    (place / "pairs.csv").write_text("a,b,label\n")
    with pytest.raises(FiqaError, match="pairs.csv has no rows"):
        load(place)


@pytest.mark.parametrize("names, said", [
    (("Ann/old/1.png", "Ann/new/2.png", "Bob/old/1.png"), "Ann/old/1.png|Ann/new/2.png"),
    (("train/Ann/1.png", "test/Ann/2.png"), "test/Ann/2.png, train/Ann/1.png"),
    (("Ann/1.png", "Bob/old/1.png"), "Ann/1.png, Bob/old/1.png"),
])
def test_which_folder_is_a_person_is_not_guessed(tmp_path, names, said):
    for row, name in enumerate(names):
        write_image(tmp_path / name, face(row))
    with pytest.raises(FiqaError, match=f"not one folder per person: .*{said}.*side by side.*\n.*images.csv"):
        load(tmp_path)


def test_people_may_lie_below_one_common_folder(tmp_path):
    for name in ("lfw/all/Ann/1.png", "lfw/all/Bob/1.png"):
        write_image(tmp_path / name, face(len(name)))
    assert load(tmp_path).images["identity"].tolist() == ["Ann", "Bob"]


def test_one_file_under_two_people_is_noted(place):
    (place / "Bob/2.png").write_bytes((place / "Ann/1.png").read_bytes())
    (place / "Cyd/2.png").write_bytes((place / "Cyd/1.png").read_bytes())
    assert load(place).notes == (
        f"{place}: 2 pictures are the same file under two people: Ann/1.png, Bob/2.png",)


def test_people_called_na_or_007_keep_their_names(tmp_path):
    """Names that spreadsheets take for numbers or for nothing, in folders and in both tables."""
    people = ("NA", "007", "1e5", "nan", "True", "None")
    for row, person in enumerate(people):
        for number in (1, 2):
            write_image(tmp_path / person / f"{number}.png", face(10 * row + number))
    rows = [f"{p}/1.png,{p}/2.png,1,{i}" for i, p in enumerate(people)]
    (tmp_path / "pairs.csv").write_text("\n".join(["path_a,path_b,genuine,fold", *rows,
                                                   "NA/1.png,007/1.png,0,1"]))
    listing = load(tmp_path)
    assert sorted(set(listing.images["identity"])) == sorted(people) and len(listing.pairs) == 7
    lines = [f"{p},{p}/1.png,{p}" for p in people]
    (tmp_path / "images.csv").write_text("\n".join(["image_id,path,identity", *lines]))
    (tmp_path / "pairs.csv").write_text("a,b,label\nNA,007,0\n")
    listing = load(tmp_path)
    assert listing.images["image_id"].tolist() == list(people) == listing.images["identity"].tolist()
    assert listing.pairs.iloc[0].tolist() == ["NA", "007", 0, -1]
