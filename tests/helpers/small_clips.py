"""A small set of clips and embeddings of known noise, for tests of what uses several frames."""
import numpy as np
import pandas as pd

from fiqa_core.base.faces import FaceSet


def small_faces(identities=8, clips=2, frames=3) -> FaceSet:
    """Every clip is a template of `frames` images; all clips are compared with all."""
    rows = [(f"p{i}", f"p{i}c{c}", f"p{i}c{c}f{f}") for i in range(identities) for c in range(clips)
            for f in range(frames)]
    images = pd.DataFrame(rows, columns=["identity", "template_id", "image_id"])
    images = images.assign(media_id=images["template_id"], crossfit=0)[
        ["image_id", "identity", "template_id", "media_id", "crossfit"]]
    names = images.drop_duplicates("template_id")[["template_id", "identity"]].to_numpy()
    pairs = [(a, b, int(i == j), -1) for n, (a, i) in enumerate(names) for b, j in names[n + 1:]]
    pixels = np.zeros((len(images), 112, 112, 3), np.uint8)
    return FaceSet("clips", pixels, images, pd.DataFrame(pairs, columns=["a", "b", "genuine", "fold"]))


def noisy_embeddings(faces: FaceSet, noise: np.ndarray, seed=0) -> np.ndarray:
    """One direction per identity, plus noise (N,) of each image's own size."""
    rng = np.random.default_rng(seed)
    who = pd.factorize(faces.images["identity"])[0]
    return (rng.normal(size=(who.max() + 1, 16))[who] + noise[:, None] * rng.normal(size=(len(faces), 16))
            ).astype(np.float32)
