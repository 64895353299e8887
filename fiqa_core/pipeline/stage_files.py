"""Where interrupted work waits: files in `build/partial`, found again only by the very same work.

DVC deletes a stage's outputs before it runs the stage, so half-finished training and scoring must live elsewhere.
The file name carries a hash of everything the work depends on; other parameters, data or code never pick it up.
"""
import hashlib
import json
import shutil
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.faces import FaceSet


def partial_path(name: str, notebook: str, faces: FaceSet | None = None, **identity) -> Path:
    """Path for the half-finished work `name` of `notebook`, on `faces`, with the given parameters."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
    code = project.build() / "code" / f"{notebook}.txt"
    digest.update(code.read_bytes() if code.is_file() else b"")
    if faces is not None:
        digest.update(faces.images.to_csv(index=False).encode())
        digest.update(faces.pixels[::max(1, len(faces) // 64)].tobytes())
    folder = project.build() / "partial"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{digest.hexdigest()[:16]}"


def forget(path: Path) -> None:
    """Remove finished partial work (a file, a folder, or nothing)."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
