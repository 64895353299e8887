"""The decoder on every kind of file people have, and the round trip between pixels and batches."""
import cv2
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import find_images, jpeg, read_image, to_batch, to_pixels, write_image

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


def test_find_images_sorts_and_refuses_empty_folders(tmp_path):
    for name in ("b/2.JPG", "a/1.png", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_images(tmp_path)] == ["1.png", "2.JPG"]
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        with pytest.raises(FiqaError, match=folder):
            find_images(tmp_path / folder)
