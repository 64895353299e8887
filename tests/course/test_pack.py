"""The shipped tables belong to the shipped networks and to today's renderer."""
import json

import numpy as np

from fiqa_core.base.files import digest
from fiqa_core.base.images import to_batch
from fiqa_core.course.networks import network, rendered
from fiqa_core.course.pack import PACK, SEED, SWEEP, SWEPT, USED, flawed, load_pack, unit
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.weights.shipped import find_shipped


def test_the_manifest_names_the_networks_that_ship():
    manifest = json.loads((PACK / "MANIFEST.json").read_text())
    assert manifest["networks"] == {name: find_shipped(name).sha256 for name in USED}
    assert manifest["pack"] == digest(PACK / "pack.npz") and manifest["seed"] == SEED


def test_it_is_small():
    assert sum(path.stat().st_size for path in PACK.iterdir()) < 2 << 20


def test_a_flaw_measured_again_gives_the_same():
    """Three people under masks: similarities and FaceQAN's scores."""
    people = 3
    table = flawed(people, "mask", SWEEP["mask"])
    pixels = rendered(sample_identities(SWEPT, SEED + 1), np.repeat(np.arange(people), 6), table)
    e = unit(embed(network(), pixels)).reshape(people, 6, -1)
    cosine = np.einsum("psd,pd->ps", e, e[:, 0])
    assert np.abs(cosine - load_pack().swept("cos", "mask")[:people]).max() < 5e-3
    scores = FaceQAN(network(), repeats=2)(to_batch(pixels)).numpy().reshape(people, 6)
    assert np.abs(scores - load_pack().swept("faceqan", "mask")[:people]).max() < 5e-3


def test_its_parts_fit_together():
    pack = load_pack()
    images = len(pack["identity"])
    assert pack["genuine"].sum() > 1000 and (~pack["genuine"]).sum() >= 10_000
    same = pack["identity"][pack["a"]] == pack["identity"][pack["b"]]
    assert (same == pack["genuine"]).all() and max(pack["a"].max(), pack["b"].max()) < images
    assert all(len(scores) == images and np.isfinite(scores).all() for scores in pack.scores().values())
    assert len(pack["train_e"]) == len(pack["train_labels"]) == len(pack["train_identity"]) >= 300
