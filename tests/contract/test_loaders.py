"""What holds for every form of a benchmark: counts, missing and extra files, one message per damaged line.

Each form is written small by a writer of the tests; what is peculiar to one is tested beside its loader.
"""
import inspect
from pathlib import Path

import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import write_image
from fiqa_core.benchmarks.loaders import FORMS, PATH_OPTIONS, facts, form_options, load_listing
from tests.helpers.forms_writers import (TEMPLATE, change_line, records, write_adience, write_ijbc,
                                         write_ijbc_nist, write_lines, write_orl, write_recordio, write_ytf,
                                         write_ytf_mat)
from tests.helpers.true_forms import (encoded, face, python2_bin, write_calfw, write_cfp, write_cplfw,
                                      write_lfw, write_xqlfw)

PEOPLE = ("Ann", "Bob", "Cyd")


def own(folder: Path, images: bool = False) -> dict:
    """Three people with two images each, three genuine and three impostor pairs; perhaps images.csv."""
    for row, person in enumerate(PEOPLE):
        for number in (1, 2):
            write_image(folder / person / f"{number}.png", face(10 * row + number))
    pairs = [(p, p, 1, i) for i, p in enumerate(PEOPLE)] + [(p, PEOPLE[i - 1], 0, i) for i,
                                                            p in enumerate(PEOPLE)]
    named = "{}{}" if images else "{}/{}.png"
    write_lines(folder / "pairs.csv", ["a,b,label,fold", *(
        f"{named.format(a, 1)},{named.format(b, 2)},{label},{fold}" for a, b, label, fold in pairs)])
    if images:
        write_lines(folder / "images.csv", ["image_id,path,identity,template_id,fte", *(
            f"{p}{n},{p}/{n}.png,{p} Smith,,0" for p in PEOPLE for n in (1, 2))])
    return {"folder": folder}


def packed(folder: Path) -> dict:
    """cfp_fp.bin: 20 pairs of 21 pictures."""
    folder.mkdir()
    rows = [row for k in range(0, 20, 2) for row in (k, k + 1, k, k + 3)]
    (folder / "cfp_fp.bin").write_bytes(python2_bin([encoded(row, folder) for row in rows],
                                                    [True, False] * 10))
    return {"file": folder / "cfp_fp.bin"}


def pair_form(write, name: str):
    """The writer of a form with a folder and a list."""
    return lambda folder: {"folder": folder, "pairs": write(folder)}


# form -> writer into a folder, which returns the options; images and pairs that it has; a picture
SMALL = {
    "lfw": (pair_form(write_lfw, "pairs.txt"), 24, 24, "lfw/Person_00/Person_00_0001.jpg"),
    "xqlfw": (write_xqlfw, 24, 24, "xqlfw/*/Person_00/Person_00_0001.jpg"),
    "calfw": (pair_form(write_calfw, "pairs_CALFW.txt"), 30, 20, "images/Ann_a_0_0001.jpg"),
    "cplfw": (pair_form(write_cplfw, "pairs_CPLFW.txt"), 30, 20, "images/Ann_0_1.jpg"),
    "cfp": (lambda folder: {"folder": write_cfp(folder)}, 100, 80,
            "cfp-dataset/Data/Images/001/frontal/01.jpg"),
    "insightface_bin": (packed, 21, 20, None),
    "folders": (own, 6, 6, "Ann/1.png"),
    "adience": (lambda folder: {"folder": write_adience(folder), "genuine": 30, "impostor": 40,
                                "per_identity": 5},
                60, 70, "faces/0@N00/*.1.010_abc_o.jpg"),
    "ytf": (lambda folder: {"folder": write_ytf(folder), "frames": 2}, 12, 4, "frame_images_DB/Ann_A/0/*"),
    "ijbc": (lambda folder: {"folder": write_ijbc(folder)}, 7, 6, "loose_crop/4.jpg"),
    "ijbc_nist": (lambda folder: {"folder": write_ijbc_nist(folder)}, 7, 5, "images/img/5.jpg"),
    "recordio": (lambda folder: {"folder": write_recordio(folder, records(), 3)}, 6, 0, None),
    "orl": (lambda folder: {"folder": write_orl(folder, short="s1/3.pgm"), "genuine": 60, "impostor": 80,
                            "per_identity": 10}, 399, 140, "s1/1.pgm"),
}
IN_FILES = [form for form, row in SMALL.items() if row[3]]


def load(form: str, options: dict):
    return load_listing(form, "set", **options)


def refused(form: str, options: dict) -> str:
    """The message with which a form is refused; it says what to do."""
    with pytest.raises(FiqaError) as error:
        load(form, options)
    assert "\n  remedy: " in str(error.value)
    return str(error.value)


def test_every_form_is_here_and_has_published_facts():
    assert set(SMALL) == set(FORMS) and all(facts(form).terms and facts(form).get for form in FORMS)
    assert (facts("calfw").images, facts("cplfw").images, facts("cfp").images) == (12_000, 11_652, 7_000)
    assert facts("ijbc").impostor == 15_638_932 and facts("recordio").images is None
    with pytest.raises(FiqaError, match="faces.X: no form is called 'lwf'\n.*choose from lfw, xqlfw"):
        facts("lwf", "faces.X")


def test_options_are_looked_up_by_name():
    assert form_options("calfw") == (["folder", "pairs", "aligned", "allow_missing"], ["folder", "pairs"])
    for form, options, message in (("lwf", {}, "no form is called 'lwf'\n.*choose from lfw, xqlfw"),
                                   ("lfw", {"folder": "."}, "LFW: form lfw needs the option pairs"),
                                   ("lfw", {"folder": ".", "pair": "x"}, "form lfw has no option "
                                                                         "pair\n.*folder, ")):
        with pytest.raises(FiqaError, match=message):
            load_listing(form, "LFW", **options)


@pytest.mark.parametrize("form", FORMS)
def test_every_option_that_is_a_path_is_named_so(form):
    options = inspect.signature(FORMS[form]).parameters.values()
    paths = {option.name for option in options if "Path" in str(option.annotation)}
    assert ("folder" in paths or "file" in paths) and paths <= set(PATH_OPTIONS)


@pytest.mark.parametrize("form", SMALL)
def test_counts(tmp_path, form):
    """Images and pairs that were written; where counts are published, notes say that these are others."""
    write, images, pairs, _ = SMALL[form]
    options = write(tmp_path / "set")
    listing = load(form,
                   {key: str(value) if key in PATH_OPTIONS else value for key, value in options.items()})
    assert (listing.name, len(listing), len(listing.pairs)) == ("set", images, pairs)
    assert set(listing.pairs["a"]) | set(listing.pairs["b"]) <= set(listing.images["template_id"])
    known = [f", published are {number:,}" for number in facts(form).counts.values()]
    assert sum(any(each in note for each in known) for note in listing.notes) >= bool(known)


@pytest.mark.parametrize("form", IN_FILES)
def test_missing_pictures_are_an_error_or_are_left_out_and_counted(tmp_path, form):
    write, images, pairs, picture = SMALL[form]
    options = write(tmp_path / "set")
    for path in (tmp_path / "set").glob(picture):
        path.unlink()
    assert "allow_missing" in refused(form, options) and " are not in " in refused(form, options)
    listing = load(form, options | {"allow_missing": True})
    assert len(listing) < images and 0 < len(listing.pairs) < pairs
    assert list(listing.pairs.index) == list(range(len(listing.pairs)))
    text = "\n".join(listing.notes)
    assert "they were left out" in text
    assert f"{pairs - len(listing.pairs)} of {pairs} pairs were left out" in text
    for row in range(len(listing)):                     # rows still belong to their pictures
        if not (form == "cfp" or form == "ytf" and row):
            assert listing.read(row).ndim == 3


@pytest.mark.parametrize("form", IN_FILES)
def test_a_set_without_any_picture_is_an_error_even_so(tmp_path, form):
    options = SMALL[form][0](tmp_path / "set")
    for path in [*tmp_path.rglob("*.jpg"), *tmp_path.rglob("*.png"), *tmp_path.rglob("*.pgm")]:
        path.unlink()
    assert "holds no image" in refused(form, options | {"allow_missing": True}) or " are not in " in refused(
        form, options | {"allow_missing": True})


@pytest.mark.parametrize("form", IN_FILES)
def test_extra_files_change_nothing(tmp_path, form):
    write, images, pairs, picture = SMALL[form]
    options = write(tmp_path / "set")
    place = next((tmp_path / "set").glob(picture)).parent
    for name in ("Landon_Donovan_3jpg.jpg", "._1.png", "Thumbs.db", "notes.txt"):
        (place / name).write_bytes(b"no picture")
    listing = load(form, options)
    assert (len(listing), len(listing.pairs)) == (images, pairs)


@pytest.mark.parametrize("form", SMALL)
def test_what_is_not_there_is_named(tmp_path, form):
    options = SMALL[form][0](tmp_path / "set")
    for key, value in options.items():
        if key in PATH_OPTIONS:
            assert "nowhere" in refused(form, options | {key: tmp_path / "nowhere"})


DAMAGES = {
    "empty": lambda whole, stream: b"",
    "cut": lambda whole, stream: whole[: len(whole) * 2 // 3],
    "noise": lambda whole, stream: stream.bytes(len(whole)),
    "wide": lambda whole, stream: whole.replace(b"\n", b" , \t 7\n"),
    "stretched": lambda whole, stream: whole.replace(b"1", "²".encode()),
    "utf16": lambda whole, stream: whole.decode("latin-1").encode("utf-16"),
}
SUBTLE = ("cut", "wide", "stretched")  # may leave a shorter list, columns that the form allows, other names


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("form", SMALL)
def test_a_damaged_file_is_refused_or_read_never_a_crash(tmp_path, form, damage):
    options = SMALL[form][0](tmp_path / "set")
    if form == "ytf":
        write_ytf_mat(tmp_path / "set")
        (tmp_path / "set" / "splits.txt").rename(tmp_path / "set" / "meta_data" / "splits.txt")
    lists = [path for path in (tmp_path / "set").rglob("*") if path.is_file()
             and path.suffix in (".txt", ".csv", ".idx", ".rec", ".mat", ".bin", ".pgm", "")]
    stream, told = np.random.default_rng(0), 0
    for path in lists[:12]:
        whole = path.read_bytes()
        path.write_bytes(DAMAGES[damage](whole, stream))
        try:
            load(form, options)
        except FiqaError as error:
            told += str(tmp_path) in str(error)
        path.write_bytes(whole)
    assert told > 0 or damage in SUBTLE


ROW = "0@N00\t010_abc_o.jpg\t1\t(25, 32)\tf\t0\t414\t1086\t1383\t-115\t30\t17"
CFP, NIST, META = "cfp-dataset/Protocol", "protocols/ijbc", "meta/ijbc"
# form, list, number of the line that is replaced (None: dropped), what then is said
DEFECTS = [
    ("lfw", "pairs.txt", 1, None, "pairs.txt, line 1: .* is not a header"),
    ("lfw", "pairs.txt", 1, "4\t3\t1", "line 1: .* is not a header"),
    ("lfw", "pairs.txt", 1, "0\t3", "line 1: .* is not a header"),
    ("lfw", "pairs.txt", 1, "4\t4", "24 pairs, but the header announces 4 folds of 4 genuine and 4 impostor"),
    ("lfw", "pairs.txt", 9, None, "23 pairs, but the header announces"),
    ("lfw", "pairs.txt", 3, "Person_01\t1\tPerson_02\t1", r"line 3: .* three fields \(genuine\) for fold 1"),
    ("lfw", "pairs.txt", 5, "Person_00\t1\t2", r"line 5: .* four fields \(impostor\) for fold 1"),
    ("lfw", "pairs.txt", 2, "Person_00\tone\t2", "line 2: .* is not a line of three fields"),
    ("lfw", "pairs.txt", 2, "Person_00\t1\t7", "1 of 25 images are not in .*lfw: "
                                               "Person_00/Person_00_0007.jpg"),
    ("lfw", "pairs.txt", 5, "Person_00\t1\tPerson_00\t2", "line 5: 1 of 24 labels contradict the identities"),
    ("lfw", "pairs.txt", 2, "Person_00\t1\t1", "line 2: 1 of 24 pairs compare an image with itself"),
    ("lfw", "pairs.txt", 2, "Person_10\t1\t2", "1 identities occur in several folds, Person_10 in folds 1 "
                                               "and 2"),
    ("xqlfw", "xqlfw_scores.txt", 1, "Name Num Score", "scores.txt, line 1: 'Name Num Score' is not the "
                                                       "header"),
    ("xqlfw", "xqlfw_scores.txt", 4, "Person_01 1", "line 4: 'Person_01 1' is not a name, a number and a "
                                                    "score"),
    ("xqlfw", "xqlfw_scores.txt", 4, "Person_01 1 1.2", r"line 4: .* score in \[0, 1\]"),
    ("xqlfw", "xqlfw_scores.txt", 4, "Person_01 1 nan", "line 4"),
    ("xqlfw", "xqlfw_scores.txt", 4, "Person_00 1 0.5", "line 4: this image has a score already"),
    ("calfw", "pairs_CALFW.txt", 1, None, "39 lines, but two make a pair"),
    ("calfw", "pairs_CALFW.txt", 3, "Ann_b_0_0001.jpg", "line 3: .* is no file name and token from 0 to 10"),
    ("calfw", "pairs_CALFW.txt", 3, "Ann_b_0_0001.jpg 11", "line 3: .* token from 0 to 10"),
    ("calfw", "pairs_CALFW.txt", 3, "Ann_b_0_0001.jpg 3", "lines 3 and 4: the tokens of a pair are 3 and 2; "
                                                          "they"),
    ("calfw", "pairs_CALFW.txt", 3, "Ann_b_0_1.jpg 2", "line 3: 'Ann_b_0_1.jpg' is not a name of the form"),
    ("calfw", "pairs_CALFW.txt", 4, "Ann_c_0_0002.jpg 2", "line 3: 1 of 20 labels contradict"),
    ("calfw", "pairs_CALFW.txt", 40, "Bob_z_0002.jpg 0", "1 of 30 images are not in .*images: "
                                                         "Bob_z_0002.jpg"),
    ("cplfw", "pairs_CPLFW.txt", 2, "Ann_0_12.jpg 0", "lines 1 and 2: the tokens of a pair are 1 and 0; "
                                                      "they"),
    ("cplfw", "pairs_CPLFW.txt", 7, None, "39 lines, but two make a pair"),
    ("cplfw", "pairs_CPLFW.txt", 2, "Ann_0_12.jpg 2", "line 2: .* token from 0 to 1"),
    ("cplfw", "pairs_CPLFW.txt", 2, "Landon_Donovan_3jpg.jpg 1", "line 2: .* is not a name of the form"),
    ("cplfw", "pairs_CPLFW.txt", 2, "Ann_1_12.jpg 1",
     "line 1: 1 of 20 labels contradict .* Ann_0_1.jpg and Ann_1_12.jpg with genuine = 1"),
    ("cplfw", "pairs_CPLFW.txt", 2, "Ann_0_13.jpg 1", "1 of 30 images are not in"),
    ("cfp", f"{CFP}/Pair_list_P.txt", 2, None, "Pair_list_P.txt, line 2: the index is 3"),
    ("cfp", f"{CFP}/Pair_list_P.txt", 2, "../Data/Images/001/profile/02.jpg", "line 2: .* is not an index "
                                                                              "and a path"),
    ("cfp", f"{CFP}/Pair_list_P.txt", 2, "2 ../Data/Images/001/frontal/02.jpg", "frontal/02.jpg is no "
                                                                                "profile image"),
    ("cfp", f"{CFP}/Pair_list_F.txt", 1, "1 ../Data/Images/001/frontal/11.jpg", "1 of 100 images are not in "
                                                                                ".*/11.jpg"),
    ("cfp", f"{CFP}/Split/FP/02/same.txt", 1, "21", "02/same.txt, line 1: '21' is not two indices"),
    ("cfp", f"{CFP}/Split/FP/02/same.txt", 1, "21,0", "line 1: Pair_list_P.txt has no image 0, it has 80"),
    ("cfp", f"{CFP}/Split/FP/02/same.txt", 1, "21,81", "line 1: Pair_list_P.txt has no image 81, it has 80"),
    ("cfp", f"{CFP}/Split/FP/02/same.txt", 1, "201,9", "line 1: Pair_list_F.txt has no image 201, it has "
                                                       "200"),
    ("cfp", f"{CFP}/Split/FP/02/same.txt", 1, "21,1", "line 1: 003/frontal/01.jpg and 001/profile/01.jpg are "
                                                      "two"),
    ("cfp", f"{CFP}/Split/FP/02/diff.txt", 2, "21,9", "line 2: 003/frontal/01.jpg and 003/profile/01.jpg are "
                                                      "one"),
    ("folders", "pairs.csv", 1, "a,b,same,fold", "pairs.csv lacks column label\n.*names the columns a, b, "
                                                 "label"),
    ("folders", "pairs.csv", 3, "Bob/1.png,,1,1", "pairs.csv, line 3: no b"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob/2.png,yes,1", "line 3: a label that is neither 0 nor 1"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob/2.png,1,first", "line 3: fold is 'first', which is no whole "
                                                               "number"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob/2.png,1,1.5", "line 3: fold is '1.5', which is no whole "
                                                             "number"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob/1.png,1,1", "line 3: a pair of one image with itself"),
    ("folders", "pairs.csv", 3, "Ann/2.png,Ann/1.png,1,1", "line 3: a pair that stands before already"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob/2.png,0,1", "line 3: a label that contradicts the identities"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob/7.png,1,1", "1 of 7 images are not in .*: "
                                                           "Bob/7.png\n.*allow_missing"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob.png,1,1", "1 images lie in no person's folder: Bob.png"),
    ("folders", "pairs.csv", 3, "Bob/1.png,Bob/2.png,1,1,5,6", "pairs.csv, line 3: 6 fields, the header "
                                                               "names 4"),
    ("own ids", "images.csv", 1, "id,path,identity,template_id,fte", "images.csv lacks column image_id"),
    ("own ids", "images.csv", 3, ",Ann/2.png,Ann Smith,,0", "images.csv, line 3: no image_id"),
    ("own ids", "images.csv", 3, "Ann2,,Ann Smith,,0", "line 3: no path"),
    ("own ids", "images.csv", 3, "Ann2,Ann/2.png,,,0", "line 3: no identity"),
    ("own ids", "images.csv", 3, "Ann1,Ann/2.png,Ann Smith,,0", "line 3: an image_id that occurs before"),
    ("own ids", "images.csv", 3, "Ann2,Ann/2.png,Ann Smith,,no", "line 3: fte is neither 0 nor 1"),
    ("own ids", "images.csv", 3, "Ann2,Ann/2.png,Ann Smith,Bob1,0", r"several identities \(2 such lines\)"),
    ("own ids", "images.csv", 3, "Ann2,Ann/9.png,Ann Smith,,0", "1 of 6 images are not in .*: Ann/9.png"),
    ("own ids", "images.csv", 3, "Ann3,Ann/2.png,Ann Smith,,0", "pairs.csv, line 2: .* images.csv does not "
                                                                "list"),
    ("own ids", "images.csv", 3, "Ann2,Ann/2.png,Bob Smith,,0", r"pairs.csv, line 2: .* \(2 such lines\)"),
    ("adience", "fold_0_data.txt", 1, ROW, "fold_0_data.txt lacks column user_id, original_image, "
                                           "face_id\n.*by tabs"),
    ("adience", "fold_0_data.txt", 2, ROW.replace("\t1\t", "\tone\t", 1), "fold_0_data.txt, line 2:"),
    ("adience", "fold_0_data.txt", 2, ROW.replace("010_abc_o.jpg", ""), "has an empty field"),
    ("adience", "fold_0_data.txt", 2, ROW + "\t5\t6", "line 2: more fields than the header names"),
    ("adience", "fold_0_data.txt", 3, ROW + "\t5\t6", "line 3: 14 fields, the header names 12"),
    ("adience", "fold_0_data.txt", 3, "0@N00\t010_abc_o.jpg", "fold_0_data.txt, line 3"),
    ("ytf", "splits.txt", 2, "1, 1, Ann_A/0, Ann_A/3", "splits.txt, line 2: '1, 1, Ann_A/0, Ann_A/3' is no "
                                                       "pair"),
    ("ytf", "splits.txt", 2, "1, 1, Ann_A/0, Ann_A/3, yes, 7, 7", "line 2"),
    ("ytf", "splits.txt", 3, "1, 2, Ann_A, Bob_B/3, 0, 7, 8", "line 3: 'Ann_A' is no clip"),
    ("ytf", "splits.txt", 3, "1, 2, Ann_A/0, Bob_B/3, 1, 7, 8", "1 labels contradict the names of their "
                                                                "clips"),
    ("ytf", "splits.txt", 3, "1, 2, Ann_A/0, Ann_A/3, 0, 7, 8", "1 labels contradict"),
    ("ytf", "splits.txt", 4, "2, 1, Ann_A/0, Ann_A/3, 1, 7, 7", "1 persons occur in several splits, Ann_A "
                                                                "first"),
    ("ytf", "splits.txt", 3, "1, 2, Ann_A/0, Bob_B/9, 0, 7, 8", "1 of 6 clips are not in"),
    ("ytf", "frame_images_DB/Ann_A.labeled_faces.txt", 1, r"Ann_A\0\0.98.jpg,0,40,30,0,20,0.0,1",
     "faces.txt, line 1"),
    ("ytf", "frame_images_DB/Ann_A.labeled_faces.txt", 1, r"Ann_A\0\0.98.jpg,0,40", "labeled_faces.txt, line "
                                                                                    "1"),
    ("ijbc", f"{META}_face_tid_mid.txt", 3, "3.jpg 11", "line 3: '3.jpg 11' is not a file name, a template "
                                                        "id"),
    ("ijbc", f"{META}_face_tid_mid.txt", 3, "3.jpg eleven 501", "line 3: '3.jpg eleven 501' is not"),
    ("ijbc", f"{META}_face_tid_mid.txt", 2, None, "lists 7 faces, ijbc_face_tid_mid.txt 6"),
    ("ijbc", f"{META}_face_tid_mid.txt", 2, "9.jpg 11 500", r"line 2: 9.jpg, but .* has 2.jpg there \(1 "
                                                            r"lines"),
    ("ijbc", f"{META}_name_5pts_score.txt", 5, f"5.jpg {TEMPLATE}", "5pts_score.txt, line 5"),
    ("ijbc", f"{META}_name_5pts_score.txt", 5, f"5.jpg {TEMPLATE} 0.99 0.5", "5pts_score.txt, line 5"),
    ("ijbc", f"{META}_name_5pts_score.txt", 5, f"5.jpg {TEMPLATE} 17.5", "line 5: 17.5 is no detector score "
                                                                         "from 0"),
    ("ijbc", f"{META}_template_pair_label.txt", 4, "11 22 2", "template_pair_label.txt, line 4: label 2"),
    ("ijbc", f"{META}_template_pair_label.txt", 4, "11 22", "line 4: '11 22' is not two template ids and a "
                                                            "label"),
    ("ijbc", f"{META}_template_pair_label.txt", 4, "11 77 0", "line 4: 1 templates are in no face list: 77"),
    ("ijbc", f"{META}_template_pair_label.txt", 4, "22 22 1", "line 4: template 22 is compared with itself"),
    ("ijbc", f"{META}_template_pair_label.txt", 6, "11 30 0", "line 6: 11 and 30 are an impostor pair, but "
                                                              "genuine"),
    ("ijbc_nist", f"{NIST}_1N_gallery_G2.csv", 1, "TEMPLATE,SUBJECT_ID,FILENAME,SIGHTING_ID", "column "
                                                                                              "TEMPLATE_ID, "
                                                                                              "FAC"),
    ("ijbc_nist", f"{NIST}_1N_gallery_G2.csv", 2, "21,two,img/5.jpg,503,30,20,20,24,", "line 2: SUBJECT_ID "
                                                                                       "is 'two'"),
    ("ijbc_nist", f"{NIST}_1N_gallery_G2.csv", 2, "21,2,img/5.jpg,503,left,20,20,24,", "line 2: FACE_X is "
                                                                                       "'left'"),
    ("ijbc_nist", f"{NIST}_1N_probe_mixed.csv", 2, "11,2,img/4.jpg,502,30,20,20,24,", "template 11 has 2 "
                                                                                      "subjects"),
    ("ijbc_nist", f"{NIST}_1N_probe_mixed.csv", 2, "12,1,img/44.jpg,502,30,20,20,24,", "1 of 7 faces are not "
                                                                                       "in"),
    ("ijbc_nist", f"{NIST}_11_G1_G2_matches.csv", 2, "21;22", "line 2: '21;22' is not two template ids, "
                                                              "separated by"),
    ("ijbc_nist", f"{NIST}_11_G1_G2_matches.csv", 2, "21,77", "line 2: 1 templates are in no face list: 77"),
    ("recordio", "train.idx", 3, "2", "train.idx, line 3: '2' is not a key and a byte offset, separated by a "
                                      "tab"),
    ("recordio", "train.idx", 3, "2\tfar", "train.idx, line 3"),
    ("recordio", "train.idx", 3, "1\t0", "train.idx: key 1 occurs twice"),
    ("recordio", "train.idx", 3, "2\t99999999", "lie outside it or are no multiple of 4, key 2 at 99,999,999 "
                                                "first"),
    ("recordio", "train.idx", 3, "2\t-4", "key 2 at -4 first"),
    ("recordio", "train.idx", 3, "2\t41", "key 2 at 41 first"),
    ("recordio", "train.idx", 10, None, "1 identity records of the directory are not in the index: 9"),
    ("recordio", "train.idx", 8, "7\t44", "record 7: no record starts at byte 44"),
    ("recordio", "property", 1, "3,112,96", "property: crops of 96 x 112 pixels"),
    ("recordio", "property", 1, "3;112;112", "'3;112;112' is not `identities,height,width`"),
]


@pytest.mark.parametrize("form, file, line, text, message", DEFECTS)
def test_a_damaged_line_is_one_message(tmp_path, form, file, line, text, message):
    options = own(tmp_path / "set", images=True) if form == "own ids" else SMALL[form][0](tmp_path / "set")
    change_line(next((tmp_path / "set").glob(file)), line, text)
    with pytest.raises(FiqaError, match=message):
        load("folders" if form == "own ids" else form, options)
