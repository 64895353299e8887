"""Small sets in the true official forms, made for the tests of their loaders."""
import struct
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from fiqa_core.base.images import write_image

TEMPLATE = "38.29 51.70 73.53 51.50 56.03 71.74 41.55 92.37 70.73 92.20"


def picture(seed: int, height: int = 112, width: int = 112) -> np.ndarray:
    """A smooth picture that JPEG keeps, different for every seed."""
    y, x = np.mgrid[:height, :width] / 40
    waves = [np.sin(x * (1 + seed % 7) + y + channel + seed) for channel in range(3)]
    return (127 + 120 * np.stack(waves, axis=2)).astype(np.uint8)


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def change_line(path: Path, number: int, text: str | None) -> None:
    """Replace line `number` (from 1) of a file, or drop it."""
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [] if text is None else [text]
    write_lines(path, lines)


def write_ijbc(folder: Path) -> Path:
    """Two persons of three templates, seven faces; templates 11, 12, 30 are one person, 21, 22 the other."""
    faces = [(1, 11, 500), (2, 11, 500), (3, 11, 501), (4, 12, 502), (5, 21, 503), (6, 22, 504), (7, 30, 505)]
    meta = folder / "meta"
    write_lines(meta / "ijbc_face_tid_mid.txt", [f"{n}.jpg {t} {m}" for n, t, m in faces])
    write_lines(meta / "ijbc_name_5pts_score.txt", [f"{n}.jpg {TEMPLATE} 0.99" for n, _, _ in faces])
    write_lines(meta / "ijbc_template_pair_label.txt",
                ["11 12 1", "21 22 1", "11 21 0", "11 22 0", "12 30 1", "21 30 0"])
    for number, _, _ in faces:
        write_image(folder / "loose_crop" / f"{number}.jpg", picture(number))
    return folder


def write_ijbc_nist(folder: Path) -> Path:
    """The faces and pairs of `write_ijbc` as NIST's package; templates 11 and 21 are the galleries."""
    header = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,FRAME_NUM"
    files = {
        "ijbc_1N_gallery_G1.csv": [
            "11,1,frames/1.jpg,500,30,20,20,24,4",
            "11,1,frames/2.jpg,500,30,20,20,24,9",
            "11,1,img/3.jpg,501,30,20,20,24,",
        ],
        "ijbc_1N_gallery_G2.csv": ["21,2,img/5.jpg,503,30,20,20,24,"],
        "ijbc_1N_probe_mixed.csv": [
            "12,1,img/4.jpg,502,30,20,20,24,",
            "22,2,img/6.jpg,504,,,,,",
            "30,1,img/7.jpg,505,0,0,20,24,",
        ],
    }
    for file, lines in files.items():
        write_lines(folder / "protocols" / file, [header, *lines])
        for name in (line.split(",")[2] for line in lines):
            number = int(Path(name).stem)
            write_image(folder / "images" / name, picture(number))
    write_lines(folder / "protocols" / "ijbc_11_G1_G2_matches.csv",
                ["11,12", "21,22", "11,22", "11,30", "21,30"])
    return folder


def write_adience(folder: Path) -> Path:
    """Five folds of two albums; every album shows two people with three faces each."""
    names = "user_id original_image face_id age gender x y dx dy tilt_ang fiducial_yaw_angle fiducial_score"
    header = "\t".join(names.split())
    for fold in range(5):
        rows = [(f"{album}@N00", f"{album}{person}{i}_abc_o.jpg", album * 10 + person)
                for album in (2 * fold, 2 * fold + 1) for person in (1, 2) for i in range(3)]
        lines = [f"{u}\t{o}\t{f}\t(25, 32)\tf\t0\t414\t1086\t1383\t-115\t30\t17" for u, o, f in rows]
        write_lines(folder / f"fold_{fold}_data.txt", [header, *lines])
        for user, original, face in rows:
            name = f"coarse_tilt_aligned_face.{face}.{original}"
            write_image(folder / "faces" / user / name, picture(face))
    return folder


def write_ytf(folder: Path, frames: int = 6) -> Path:
    """Two splits of two persons with two clips each; the frames are numbered 98, 99, 100, ..."""
    lines = ["split number, pair number, first name, second name, is same?, first id, second id"]
    for split, (a, b) in enumerate((("Ann_A", "Bob_B"), ("Cy_C", "Di_D")), 1):
        lines += [f"{split}, 1, {a}/0, {a}/3, 1, 7, 7", f"{split}, 2, {a}/0, {b}/3, 0, 7, 8"]
        for seed, person in enumerate((a, b)):
            _write_person(folder, person, seed, frames)
    write_lines(folder / "splits.txt", lines)
    return folder


def _write_person(folder: Path, person: str, seed: int, frames: int) -> None:
    labels = []
    for clip in (0, 3):
        for number in range(98, 98 + frames):
            whole = folder / "frame_images_DB" / person / str(clip)
            crops = folder / "aligned_images_DB" / person / str(clip)
            write_image(whole / f"{clip}.{number}.jpg", picture(seed, 60, 80))
            write_image(crops / f"aligned_detect_{clip}.{number}.jpg", picture(seed, 50, 50))
            labels.append(f"{person}\\{clip}\\{clip}.{number}.jpg,0,40,30,20,20,0.0,1")
    write_lines(folder / "frame_images_DB" / f"{person}.labeled_faces.txt", labels)


def write_ytf_mat(folder: Path) -> None:
    """The pairs of `write_ytf` as meta_and_splits.mat: cells of names, numbers from 1."""
    clips = [f"{person}/{clip}" for person in ("Ann_A", "Bob_B", "Cy_C", "Di_D") for clip in (0, 3)]
    names = np.empty((len(clips), 1), object)
    names[:, 0] = clips
    splits = np.array([[[1, 2, 1], [1, 4, 0]], [[5, 6, 1], [5, 8, 0]]], float).transpose(1, 2, 0)
    (folder / "meta_data").mkdir(exist_ok=True)
    savemat(folder / "meta_data" / "meta_and_splits.mat", {"video_names": names, "Splits": splits})


def record(flag: int, labels: tuple[float, ...], body: bytes = b"", parts: int = 0) -> bytes:
    """One record of a .rec file; `labels` one scalar for flag 0, else `flag` numbers."""
    scalar = labels[0] if flag == 0 else 0.0
    payload = struct.pack("<IfQQ", flag, scalar, 1, 0)
    payload += struct.pack(f"<{flag}f", *labels) if flag else b""
    payload += body
    frame = struct.pack("<II", 0xCED7230A, parts << 29 | len(payload))
    return frame + payload + b"\0" * (-len(payload) % 4)


def write_recordio(folder: Path, records: list[bytes], classes: int) -> Path:
    """train.rec, train.idx and property of records with the keys 0, 1, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    offsets = np.cumsum([0, *map(len, records)])
    (folder / "train.rec").write_bytes(b"".join(records))
    write_lines(folder / "train.idx", [f"{key}\t{offset}" for key, offset in enumerate(offsets[:-1])])
    (folder / "property").write_text(f"{classes},112,112")
    return folder


OWNERS = [0, 0, 0, 1, 1, 2]  # identity of the images 1 to 6
RANGES = [(1, 4), (4, 6), (6, 7)]


def jpeg(seed: int) -> bytes:
    return cv2.imencode(".jpg", picture(seed)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def records(owners=OWNERS, ranges=RANGES) -> list[bytes]:
    """A directory (7, 10), six images, three identity records; image 2 has an array of labels."""
    images = [record(2, (owner, 9.0), jpeg(n)) if n == 2 else record(0, (owner,), jpeg(n))
              for n, owner in enumerate(owners, 1)]  # fmt: skip
    return [record(2, (7, 10)), *images, *(record(2, span) for span in ranges)]


def write_orl(folder: Path, short: str = "") -> Path:
    """s1/1.pgm to s40/10.pgm, 92 x 112 grey values without the bytes 13 10 side by side; returns the folder.

    short  a picture that holds them after all, and went through a conversion of line ends
    """
    for person in range(1, 41):
        values = np.random.default_rng(person).integers(0, 256, (10, 92 * 112), dtype=np.uint8)
        values[values == 13] = 14
        (folder / f"s{person}").mkdir(parents=True)
        for number, picture in enumerate(values, 1):
            (folder / f"s{person}" / f"{number}.pgm").write_bytes(b"P5\n92 112\n255\n" + picture.tobytes())
    if short:
        content = bytearray((folder / short).read_bytes())
        content[600:602] = b"\r\n"
        (folder / short).write_bytes(bytes(content).replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n"))
    return folder
