"""InsightFace's .bin: what Python 2 and 3 wrote, with bytes and with arrays; one defect at a time."""
import pickle

import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import decode_image
from fiqa_core.benchmarks.loaders import load_listing
from tests.helpers.true_forms import encoded, python2_array, python2_bin

PAIRS = 20


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Files of pictures, and the numbers of the 21 in 20 pairs: genuine (2k, 2k+1), impostor (2k, 2k+3)."""
    folder = tmp_path_factory.mktemp("crops")
    files = [encoded(seed, folder) for seed in range(PAIRS + 3)]
    rows = [row for k in range(0, PAIRS, 2) for row in (k, k + 1, k, k + 3)]
    return files, rows, [True, False] * (PAIRS // 2)


def write(path, content, protocol=4):
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


def load(path):
    return load_listing("insightface_bin", "CFP-FP", file=path)


def check(listing, crops):
    """Pairs name the pictures that they were made of, each content once."""
    files, rows, labels = crops
    row = {image: i for i, image in enumerate(listing.images["image_id"])}
    shown = [row[i] for pair in zip(listing.pairs["a"], listing.pairs["b"]) for i in pair]
    for number, place in zip(rows, shown):
        np.testing.assert_array_equal(listing.read(place), decode_image(files[number], "crop"))
    assert listing.pairs["genuine"].tolist() == [int(label) for label in labels]
    assert len(listing) == len(set(rows)) == PAIRS + 1 and listing.aligned


def test_ids_people_and_folds(tmp_path, crops):
    files, rows, labels = crops
    listing = load(write(tmp_path / "cfp_fp.bin", ([files[row] for row in rows], labels)))
    check(listing, crops)
    ids = listing.images.set_index("image_id")["identity"]
    assert ids.index.tolist()[:4] == ["cfp_fp/000000_0", "cfp_fp/000000_1", "cfp_fp/000001_1",
                                      "cfp_fp/000002_0"]
    assert listing.pairs.iloc[1].tolist() == ["cfp_fp/000000_0", "cfp_fp/000001_1", 0, 1]
    assert ids["cfp_fp/000000_1"] == "cfp_fp/000000_0"
    # picture 3 occurs first on the impostor side of pair 1 and then in genuine pair 2 with picture 2
    assert ids["cfp_fp/000001_1"] == ids["cfp_fp/000002_0"] == "cfp_fp/000001_1"
    assert listing.pairs["fold"].tolist() == [fold for fold in range(1, 11) for _ in "ab"]
    text = "\n".join(listing.notes)
    assert "19 of 40 images repeat another; each is kept once" in text
    assert "10 genuine pairs, published are 3,500" in text


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ["bytes", "array", "labels"])
def test_every_protocol_of_python_3(tmp_path, crops, protocol, kind):
    files, rows, labels = crops
    images = [np.frombuffer(files[row], np.uint8) if kind == "array" else files[row] for row in rows]
    labels = {"bytes": labels, "array": np.array(labels), "labels": list(np.array(labels))}[kind]
    check(load(write(tmp_path / "x.bin", (images, labels), protocol)), crops)


def test_python_2_wrote_strings_and_arrays(tmp_path, crops):
    files, rows, labels = crops
    images = [files[row] for row in rows]
    check(load(write(tmp_path / "x.bin", python2_bin(images, labels))), crops)
    arrays = b"".join(python2_array(data) for data in images)
    flags = b"".join(b"I01\n" if label else b"I00\n" for label in labels)
    check(load(write(tmp_path / "x.bin", b"\x80\x02](" + arrays + b"e](" + flags + b"e\x86.")), crops)


def test_a_list_of_two_and_numbers_as_labels(tmp_path, crops):
    files, rows, labels = crops
    check(load(write(tmp_path / "x.bin", [[files[row] for row in rows], [int(label) for label in labels]])),
          crops)
    check(load(write(tmp_path / "x.bin", ([files[row] for row in rows], np.array(labels, "i8")))), crops)


def test_an_unknown_name_is_not_counted(tmp_path, crops):
    files, rows, labels = crops
    listing = load(write(tmp_path / "my_set.bin", ([files[row] for row in rows], labels)))
    assert not any("published" in note for note in listing.notes)


def test_unbalanced_tenths_have_no_folds(tmp_path, crops):
    files, rows, _ = crops
    order = [*range(0, 40, 4), *range(2, 40, 4)]
    images = [files[rows[i + side]] for i in order for side in (0, 1)]
    listing = load(write(tmp_path / "x.bin", (images, [True] * 10 + [False] * 10)))
    assert (listing.pairs["fold"] == -1).all() and any("folds are unknown (-1)" in n for n in listing.notes)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda i, y: (i, y, y), "x.bin holds no two lists but tuple\n.*a .bin holds two things"),
        (lambda i, y: {"images": i, "labels": y}, "x.bin holds no two lists but dict"),
        (lambda i, y: (b"images", y), "the images are no list but bytes"),
        (lambda i, y: (i[:-1], y), "39 images for 20 labels"),
        (lambda i, y: (i, y[:-1]), "40 images for 19 labels"),
        (lambda i, y: (i, [True] * 20), "all 20 labels are the same"),
        (lambda i, y: ([], []), "all 0 labels are the same, or there are none"),
        (lambda i, y: (i, [*y[:-1], 2]), "label 19 is 2, neither True nor False"),
        (lambda i, y: (i, [*y[:-1], None]), "label 19 is None"),
        (lambda i, y: (i, np.array(y, float)), "the labels are no list of booleans: an array of type f8"),
        (lambda i, y: (i, 3), "the labels are no list of booleans"),
        (lambda i, y: (["crop.jpg", *i[1:]], y), "image 0 is no encoded image but str"),
        (lambda i, y: ([*i[:-1], np.zeros((9, 9), "u1")], y), r"image 39 is an array of shape \(9, 9\)"),
        (lambda i, y: ([*i[:-1], np.zeros(9, "f4")], y), "image 39 is an array of type f4"),
        (lambda i, y: ([*i[:-1], np.zeros(9, "b1")], y), "image 39 is no encoded image"),
        (lambda i, y: (i[:2] * 20, y), "pair 1: 10 of 20 labels contradict the identities"),
    ],
)
def test_defects(tmp_path, crops, change, message):
    files, rows, labels = crops
    with pytest.raises(FiqaError, match=message):
        load(write(tmp_path / "x.bin", change([files[row] for row in rows], labels)))


def test_a_contradiction_among_thousands_is_kept_and_noted(tmp_path):
    images = [b"%d" % i for i in range(800)]
    images[2:4] = images[0:2]
    listing = load(write(tmp_path / "x.bin", (images, [True, False] * 200)))
    text = "\n".join(listing.notes)
    assert "pair 1: 1 of 400 labels contradict" in text and "pair 1: 1 pairs stand in the list twice" in text


def test_a_broken_crop_is_left_to_the_reader(tmp_path, crops):
    files, rows, labels = crops
    images = [files[row] for row in rows]
    images[1] = files[1][:300]
    listing = load(write(tmp_path / "x.bin", (images, labels)))
    with pytest.raises(FiqaError, match=r"x/000000_1 is not a complete image \(300 bytes\)"):
        listing.read(1)


def test_crops_of_another_size_are_not_aligned(tmp_path):
    images = [encoded(seed, tmp_path, size=96) for seed in range(4)]
    assert not load(write(tmp_path / "x.bin", (images, [True, False]))).aligned


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_a_file_that_is_cut_short(tmp_path, crops, size):
    files, rows, labels = crops
    data = pickle.dumps(([files[row] for row in rows], labels))
    with pytest.raises(FiqaError, match="x.bin is not a complete pickle"):
        load(write(tmp_path / "x.bin", data[:size]))


def test_other_files(tmp_path, crops):
    with pytest.raises(FiqaError, match="x.bin is not a complete pickle"):
        load(write(tmp_path / "x.bin", crops[0][0]))
    with pytest.raises(FiqaError, match="verification set .*none.bin is missing"):
        load(tmp_path / "none.bin")
