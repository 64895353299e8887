"""A whole project in a temporary folder: one benchmark of random faces, one small recogniser, the demo's numbers."""
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.faces import FaceSet
from fiqa_core.loading import save_recogniser
from fiqa_core.pipeline.suites import write_params
from tests.helpers.small_networks import faces as smooth_faces
from tests.helpers.small_networks import recogniser

ROOT = Path(__file__).resolve().parents[2]


def face_set(count: int, name: str = "LFW") -> FaceSet:
    """Smooth random faces, two to an identity, 4 genuine and 8 impostor pairs."""
    pixels = (255 * smooth_faces(count).permute(0, 2, 3, 1).numpy()).astype(np.uint8)
    ids = [f"face {i:03d}" for i in range(count)]
    images = pd.DataFrame(
        {
            "image_id": ids,
            "identity": [f"p{i // 2}" for i in range(count)],
            "template_id": ids,
            "media_id": ids,
            "crossfit": 0,
        }
    )
    a = [0, 2, 4, 6, 0, 1, 2, 3, 4, 5, 6, 7]
    b = [1, 3, 5, 7, 2, 3, 4, 5, 6, 7, 0, 2]
    pairs = pd.DataFrame(
        {"a": [ids[i] for i in a], "b": [ids[i] for i in b], "genuine": [1] * 4 + [0] * 8, "fold": -1}
    )
    return FaceSet(name, pixels, images, pairs)


def small_project(folder: Path, images: int, **overrides) -> FaceSet:
    """Write the project to `folder`; FIQA_ROOT must name it. `overrides` of params.yaml: a__b=1 is a.b=1."""
    shutil.copy(ROOT / "dvc.yaml", folder)
    write_params("demo", [f"{key.replace('__', '.')}={value}" for key, value in overrides.items()])
    faces = face_set(images)
    faces.save(folder / "build" / "demo" / "benchmarks" / faces.name)
    (folder / "results" / "demo" / "prepare").mkdir(parents=True)
    table = pd.DataFrame([{"name": faces.name, "images": images, "genuine": 4, "impostor": 8}])
    table.to_csv(folder / "results" / "demo" / "prepare" / "faces.csv", index=False)
    (folder / "build" / "demo" / "recognisers").mkdir()
    save_recogniser(recogniser(), folder / "build" / "demo" / "recognisers" / "cosface.pt")
    return faces
