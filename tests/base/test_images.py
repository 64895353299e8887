"""The decoder on every kind of file people have, and the round trip between pixels and batches."""
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import (IMAGE_SUFFIXES, find_images, jpeg, name_of, path_of, read_image, to_batch,
                                   to_pixels, write_image)

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def test_png_round_trip_keeps_colour_order(tmp_path):
    write_image(tmp_path / "colour.png", PIXELS)
    assert np.array_equal(read_image(tmp_path / "colour.png"), PIXELS)
    assert np.array_equal(cv2.imread(str(tmp_path / "colour.png"))[..., ::-1], PIXELS)


def test_grey_becomes_three_equal_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), PIXELS[..., 0])
    pixels = read_image(tmp_path / "grey.png")
    assert all(np.array_equal(pixels[..., channel], PIXELS[..., 0]) for channel in range(3))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_become_eight(tmp_path, suffix):
    deep = PIXELS.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), deep[..., ::-1])
    pixels = read_image(tmp_path / f"deep{suffix}")
    assert pixels.dtype == np.uint8 and np.abs(pixels.astype(int) - PIXELS).max() <= 1


@pytest.mark.parametrize("scale", [1, 257])
def test_transparency_is_composited_over_black(tmp_path, scale):
    alpha = np.full((20, 30, 1), 255, np.uint8)
    alpha[:10] = 0
    kind = np.uint8 if scale == 1 else np.uint16
    stored = np.concatenate([PIXELS[..., ::-1], alpha], axis=2).astype(kind) * scale
    cv2.imwrite(str(tmp_path / "alpha.png"), stored.astype(kind))
    pixels = read_image(tmp_path / "alpha.png")
    assert (pixels[:10] == 0).all() and np.array_equal(pixels[10:], PIXELS[10:])


def test_exif_orientation_is_applied(tmp_path):
    _, data = cv2.imencode(".jpg", cv2.resize(PIXELS, (32, 16)))
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    block = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    (tmp_path / "portrait.jpg").write_bytes(data.tobytes()[:2] + segment + data.tobytes()[2:])
    assert read_image(tmp_path / "portrait.jpg").shape == (32, 16, 3)


@pytest.mark.parametrize("suffix, keep", [(".jpg", 0.6), (".jpg", 0.02), (".png", 0.5), (".jpg", 0.0)])
def test_truncated_files_are_named(tmp_path, suffix, keep):
    path = tmp_path / f"broken{suffix}"
    write_image(path, cv2.resize(PIXELS, (200, 200)))
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(FiqaError, match=path.name):
        read_image(path)


def test_text_and_missing_files_are_named(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "nowhere.jpg"):
        with pytest.raises(FiqaError, match=name):
            read_image(tmp_path / name)


def test_batch_and_pixels_are_inverse():
    pixels = np.stack([PIXELS, PIXELS[::-1]])
    batch = to_batch(pixels)
    assert batch.shape == (2, 3, 20, 30) and batch.dtype == torch.float32 and batch.is_contiguous()
    assert batch[0, 1, 3, 4].item() == pytest.approx(pixels[0, 3, 4, 1] / 255)
    assert np.array_equal(to_pixels(batch), pixels)
    assert to_pixels(torch.tensor([-0.5, 1.5]).reshape(2, 1, 1, 1)).ravel().tolist() == [0, 255]


def test_a_memory_map_is_copied(tmp_path):
    np.save(tmp_path / "pixels.npy", PIXELS[None])
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    to_batch(mapped)[:] = 0
    assert np.array_equal(mapped[0], PIXELS)


def test_jpeg_loses_more_at_low_quality():
    smooth = cv2.resize(PIXELS, (112, 112), interpolation=cv2.INTER_CUBIC)
    loss = [np.abs(jpeg(smooth, quality).astype(int) - smooth).mean() for quality in (95, 50, 5)]
    assert loss[0] < loss[1] < loss[2]


def tree(folder, *names: str):
    """Files of these names below `folder`, which hold a picture."""
    for name in names:
        write_image(folder / "one.png", PIXELS)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "one.png").rename(folder / name)
    return folder


def found(folder) -> list[str]:
    return [name_of(path, folder) for path in find_images(folder)]


def test_pictures_are_sorted_and_folders_without_any_refused(tmp_path):
    tree(tmp_path, "b/2.JPG", "a/1.png", "a/notes.txt", "a/1", "b/x.jfif")
    assert found(tmp_path) == ["a/1", "a/1.png", "b/2.JPG", "b/x.jfif"]
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        with pytest.raises(FiqaError, match=folder):
            find_images(tmp_path / folder)


def test_hidden_files_and_folders_are_no_pictures(tmp_path):
    tree(tmp_path / ".cache" / "in", "a/1.png", "a/._1.png", ".DS_Store",
         "a/.ipynb_checkpoints/1-checkpoint.png",
         ".trash/2.png")
    assert found(tmp_path / ".cache" / "in") == ["a/1.png"]


def test_linked_folders_are_searched_and_loops_are_not(tmp_path):
    tree(tmp_path / "in", "a/1.png"), tree(tmp_path / "else", "2.png", "deep/3.png")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "else")
    (tmp_path / "in" / "c.png").symlink_to(tmp_path / "else" / "2.png")
    (tmp_path / "in" / "a" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "else" / "deep" / "up").symlink_to(tmp_path / "else")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert found(tmp_path / "in") == ["a/1.png", "b/2.png", "b/deep/3.png", "c.png", "gone.png"]
    with pytest.raises(FiqaError, match="gone.png cannot be read: No such file"):
        read_image(tmp_path / "in" / "gone.png")


def test_formats_that_are_not_read_are_counted_aloud(tmp_path, capsys):
    tree(tmp_path, "1.png", "2.HEIC", "3.heic", "4.cr2", "5.txt", "a.csv")
    assert found(tmp_path) == ["1.png"]
    said = capsys.readouterr().err
    assert "3 pictures are left out" in said and "1 .cr2, 2 .heic" in said and "JPEG or PNG" in said
    (tmp_path / "1.png").unlink()
    with pytest.raises(FiqaError, match="holds no image that can be read, but 1 .cr2, 2 .heic"):
        find_images(tmp_path)


@pytest.mark.parametrize("suffix", [s for s in IMAGE_SUFFIXES if s not in (".pbm", ".pgm", ".hdr", ".jfif")])
def test_every_format_that_is_listed_is_read(tmp_path, suffix):
    """Grey levels of a smooth picture come back, in the right order of colours."""
    smooth = cv2.resize(PIXELS[:4, :4], (64, 64), interpolation=cv2.INTER_CUBIC)
    write_image(tmp_path / f"a{suffix}", smooth)
    limit = 20 if suffix == ".gif" else 8
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - smooth).mean() < limit


def test_names_that_are_no_utf8_are_escaped_and_found_again(tmp_path):
    tree(tmp_path, "a/1.png", r"a/plain\\xe9.png")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/a/caf\xe9 \xc3\xa9.png")
    os.rename(tmp_path / "a" / "1.png", odd)
    names = found(tmp_path)
    assert names == [r"a/caf\xe9 é.png", r"a/plain\\xe9.png"] and "".join(names).encode("utf-8")
    for name in names:
        assert np.array_equal(read_image(path_of(tmp_path, name)), PIXELS)
    Path(odd).write_bytes(b"damaged")
    with pytest.raises(FiqaError) as error:
        read_image(path_of(tmp_path, names[0]))
    assert r"caf\xe9 é.png is not a complete image" in str(error.value) and str(error.value).encode("utf-8")
