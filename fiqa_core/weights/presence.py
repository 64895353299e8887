"""Is a checkpoint there, is it the published file, and does it load: states, digests and the local record.

`checked.json` in the weights folder remembers the size, time and digest of every file that was found good.
For a model whose published digest nobody stated it is what a later look compares with: damage is noticed.
"""
import hashlib
import json
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from glob import escape
from pathlib import Path

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.catalogue import COMMAND, Model
from fiqa_core.weights.place import newest, weights_folder

RECORD = "checked.json"
ROOM = "make room, or name another folder with FIQA_WEIGHTS"
Load = Callable[[Model, Path], object]


def path_of(model: Model) -> Path:
    """Where the model's file is, or has to go. A `*` in its name stands for the newest file that fits."""
    place = weights_folder() / model.file
    return newest(place) or place


def state_of(model: Model) -> str:
    """"missing", "valid" (found good and unchanged since), "damaged" (wrong size) or "unchecked".

    Cheap: it compares size and time with the catalogue and the record, and reads no file.
    """
    path = path_of(model)
    if not path.is_file():
        return "missing"
    if model.size is not None and path.stat().st_size != model.size:
        return "damaged"
    known = recorded(path)
    return "valid" if known and _stamp(path).items() <= known.items() else "unchecked"


def verify(model: Model, path: Path, remedy: str | None = None) -> str:
    """The sha256 of `path` after comparing size and digest with the published ones.

    Raises FiqaError with `remedy` where they differ: a truncated, damaged or other file.
    """
    remedy = remedy or f"delete it and get it again: {model.how_to_get()}"
    if not path.is_file():
        raise FiqaError(f"{model.slug}: {path} is not there", f"get it: {model.how_to_get()}")
    size = path.stat().st_size
    if model.size is not None and size != model.size:
        problem = "truncated" if size < model.size else "not the published file"
        raise FiqaError(f"{model.slug}: {path} is {problem}: {size:,} bytes instead of {model.size:,}",
                        remedy)
    digest = digest_of(path)
    if model.sha256 and not digest.startswith(model.sha256):
        raise FiqaError(f"{model.slug}: {path} is damaged or not the published file: sha256 {digest}, "
                        f"published {model.sha256}", remedy)
    return digest


def check(model: Model, load: Load) -> str:
    """Verify the model's file, compare it with the record, load it strictly and remember that it is good.

    load   raises FiqaError where the file is none that the model's network takes
    Returns "as published", "as recorded" or "first seen". Raises FiqaError where anything is wrong.
    """
    path = path_of(model)
    digest = verify(model, path)
    known = recorded(path)
    if known and known["sha256"] != digest:
        raise FiqaError(f"{model.slug}: {path} has changed since it was recorded: sha256 {digest}, "
                        f"then {known['sha256']}",
                        f"restore it, or accept it as it is: {COMMAND} add {model.slug} {path} --replace")
    load(model, path)
    remember(path, digest)
    return "as published" if model.sha256 else "as recorded" if known else "first seen"


def add(model: Model, file: Path, load: Load, link: bool = False, replace: bool = False) -> Path:
    """Put the user's own `file` in the model's place, after verifying that it is the one and loads.

    link: a symbolic link instead of a copy. replace: also where another file is there already.
    Returns the place. Raises FiqaError where the file is wrong or the place is taken.
    """
    from fiqa_core.base.files import holding, writing
    file = Path(file).expanduser().resolve()
    digest = verify(model, file, f"get the published file: {model.how_to_get()}; "
                                 "a converted copy is loaded by its path instead")
    load(model, file)
    place = weights_folder() / model.file
    if "*" in place.name:
        if not fnmatch(file.name, place.name):
            raise FiqaError(f"{model.slug}: {file.name} is not of the form {place.name}",
                            f"name the {place.suffix} file of the checkpoint, beside the others of it")
        place = place.with_name(file.name)
    with writing(place, ROOM), holding(place):
        if place.exists() and not replace and digest_of(place) != digest:
            raise FiqaError(f"{model.slug}: another file is at {place}",
                            f"keep it, or take the new one with: {COMMAND} add {model.slug} {file} --replace")
        for part in parts_of(file):
            _install(part, place.with_name(part.name) if "*" in model.file else place, link)
        remember(place, digest)
    return place


def parts_of(path: Path) -> list[Path]:
    """The file itself, and with a TensorFlow index its data files."""
    beside = path.parent.glob(f"{escape(path.stem)}.data-*") if path.suffix == ".index" else ()
    return [path, *sorted(beside)]


def digest_of(path: Path) -> str:
    """The SHA-256 of a file; of a checkpoint of several files that of their digests one after the other."""
    from fiqa_core.base.files import sha256  # not above: `weights list` does without its pandas
    digests = [sha256(part) for part in parts_of(path)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def recorded(path: Path) -> dict | None:
    """What the record knows of a file: sha256, size in bytes, time in ns; None where it knows nothing."""
    return _read_record().get(_key(path))


def remember(path: Path, digest: str) -> None:
    """Write size, time and digest of a good file to the record."""
    from fiqa_core.base.files import holding, write_text
    with holding(weights_folder() / RECORD):
        record = _read_record() | {_key(path): {"sha256": digest, **_stamp(path)}}
        write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", weights_folder() / RECORD)


def _install(file: Path, place: Path, link: bool) -> None:
    """Copy or link `file` to `place`, whole or not at all; nothing to do where it is there already."""
    from fiqa_core.base.files import replacing
    if place.resolve() != file:
        with replacing(place, remedy=ROOM) as part:
            part.unlink(missing_ok=True)            # of an attempt that was killed
            part.symlink_to(file) if link else shutil.copyfile(file, part)


def _read_record() -> dict:
    path = weights_folder() / RECORD
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except json.JSONDecodeError:
        raise FiqaError(f"{path} is damaged", f"delete it and run: {COMMAND} check") from None


def _key(path: Path) -> str:
    return path.relative_to(weights_folder()).as_posix()


def _stamp(path: Path) -> dict:
    """What tells cheaply that a file is the one that was looked at before."""
    facts = path.stat()
    return {"size": facts.st_size, "modified": facts.st_mtime_ns}
