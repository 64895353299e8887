"""Writers of small benchmarks in the forms in which they are given out, for tests of the loaders."""
import struct
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.images import write_image
from tests.helpers.shared import shared_path


def face(seed: int, size: int = 112) -> np.ndarray:
    """A smooth picture, uint8 (size, size, 3), that differs for every seed."""
    y, x = np.mgrid[:size, :size] / size
    a, b, c = np.random.default_rng(seed).uniform(1, 9, 3)
    waves = [np.sin(a * x + b * y + c), np.cos(b * x - c * y), np.sin(c * x * y + a)]
    return np.clip(128 + 100 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)


def encoded(seed: int, folder: Path, size: int = 112) -> bytes:
    """The JPEG file of `face(seed)`."""
    write_image(folder / "one.jpg", face(seed, size))
    return (folder / "one.jpg").read_bytes()


def write_lfw(folder: Path, folds: int = 4, per_class: int = 3, size: int = 112, top: str = "lfw") -> Path:
    """LFW's layout below `folder / top`, two images of every person, and the list `folder / pairs.txt`."""
    lines = [f"{folds}\t{per_class}"]
    for fold in range(folds):
        people = [f"Person_{fold}{i}" for i in range(per_class)]
        for person in people:
            for number in (1, 2):
                write_image(folder / top / person / f"{person}_{number:04d}.jpg",
                            face(int(person[-2:] + str(number)), size))
        lines += [f"{person}\t1\t2" for person in people]
        lines += [f"{person}\t1\t{people[i - 1]}\t2" for i, person in enumerate(people)]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder / "pairs.txt"


def write_xqlfw(folder):
    path = write_lfw(folder / "xqlfw", top="lfw_original_imgs_min_qual0.85variant11").rename(
        folder / "xqlfw_pairs.txt"
    )
    lines = [f"Person_{fold}{i} {number} 0.{fold}{i}{number}"
             for fold in range(4) for i in range(3) for number in (1, 2)]  # fmt: skip
    (folder / "xqlfw_scores.txt").write_text("\n".join(["ID Num Score", *lines]) + "\n")
    return {"folder": folder, "pairs": path, "scores": folder / "xqlfw_scores.txt"}


def write_official_lfw(folder: Path) -> Path:
    """`folder / lfw` with the 7,701 aligned crops of LFW's View 2 as links, and the published pairs.txt.

    Skips the calling test without the shared photographs.
    """
    shared = shared_path("faces/metadata.csv").parent
    sources = pd.read_csv(shared / "metadata.csv").query("source == 'lfw'").set_index("path")["source_path"]
    for path, source in sources.items():
        link = folder / "lfw" / Path(source).parent.name / Path(source).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(shared / path)
    named = sources.str.extract(r"/([^/]+)_(\d{4})\.jpg$").astype({1: int}).itertuples()
    names = {path: (name, str(number)) for path, name, number in named}
    lines = ["10\t300"]
    for pair in pd.read_csv(shared / "lfw_view2_pairs.csv").itertuples():
        a, b = names[pair.path_a], names[pair.path_b]
        lines.append("\t".join([*a, b[1]] if pair.genuine else [*a, *b]))
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder / "pairs.txt"


def write_calfw(folder: Path, folds: int = 10, per_fold: int = 1, touch: bool = False) -> Path:
    """CALFW's layout: `folder / images` and `folder / pairs_CALFW.txt`; `touch`: image files are empty."""
    genuine, impostor = [], []
    for fold in range(1, folds + 1):
        people = [f"Ann_{chr(96 + fold)}_{i}" for i in range(per_fold)]
        for i, person in enumerate(people):
            genuine += [f"{person}_0001.jpg {fold}", f"{person}_0002.jpg {fold}"]
            other = people[i - 1] if per_fold > 1 else f"Bob_{chr(96 + fold)}"
            impostor += [f"{person}_0001.jpg 0", f"{other}_0002.jpg 0"]
    return _flat(folder, "pairs_CALFW.txt", genuine + impostor, touch)


def write_cplfw(folder: Path, pairs: int = 20, touch: bool = False) -> Path:
    """CPLFW's layout: genuine and impostor pairs in turn, files as in `write_calfw`."""
    lines = []
    for pair in range(pairs // 2):
        lines += [f"Ann_{pair}_1.jpg 1", f"Ann_{pair}_12.jpg 1", f"Ann_{pair}_1.jpg 0", f"Bob_{pair}_3.jpg 0"]
    return _flat(folder, "pairs_CPLFW.txt", lines, touch)


def _flat(folder: Path, name: str, lines: list[str], touch: bool) -> Path:
    (folder / "images").mkdir(parents=True)
    for seed, file in enumerate(sorted({line.split()[0] for line in lines})):
        if touch:
            (folder / "images" / file).touch()
        else:
            write_image(folder / "images" / file, face(seed))
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def write_cfp(folder: Path, people: int = 20, per_class: int = 4) -> Path:
    """CFP's layout in `folder / cfp-dataset`: 10 frontal and 4 profile images of each person, empty files."""
    root = folder / "cfp-dataset"
    for view, count, kind in (("F", 10, "frontal"), ("P", 4, "profile")):
        paths = [f"Data/Images/{p:03d}/{kind}/{i:02d}.jpg" for p in range(1, people + 1)
                 for i in range(1, count + 1)]
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        (root / "Protocol").mkdir(exist_ok=True)
        (root / "Protocol" / f"Pair_list_{view}.txt").write_text(
            "".join(f"{row} ../{path}\n" for row, path in enumerate(paths, start=1))
        )
    share = people // 10
    for protocol, second in (("FP", 4), ("FF", 10)):
        for split in range(10):
            place = root / "Protocol" / "Split" / protocol / f"{split + 1:02d}"
            place.mkdir(parents=True)
            same, diff = [], []
            for pair in range(per_class):
                person, i = split * share + pair % share, pair // share
                other = split * share + (pair + 1) % share
                same.append(f"{person * 10 + i % 10 + 1},{person * second + (i + 1) % second + 1}")
                diff.append(f"{person * 10 + i % 10 + 1},{other * second + i % second + 1}")
            (place / "same.txt").write_text("\n".join(same) + "\n")
            (place / "diff.txt").write_text("\n".join(diff) + "\n")
    return root


def python2_bin(images: list[bytes], labels: list[bool]) -> bytes:
    """The bytes that Python 2's pickle, protocol 2, wrote for (list of str, list of bool)."""
    strings = b"".join(b"T" + struct.pack("<i", len(data)) + data for data in images)
    flags = b"".join(b"\x88" if label else b"\x89" for label in labels)
    return b"\x80\x02]q\x00(" + strings + b"e]q\x01(" + flags + b"e\x86q\x02."


def python2_array(data: bytes) -> bytes:
    """The bytes that Python 2 and numpy 1 wrote for a uint8 array (N,): part of a pickle of protocol 2."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + b"J" + struct.pack("<i", len(data)) + b"\x85"
        + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + b"T" + struct.pack("<i", len(data)) + data + b"tb"
    )  # fmt: skip
