"""Embeddings of many images."""
import numpy as np
import torch

from fiqa_core.images import to_batch
from fiqa_core.progress import progress
from fiqa_core.recognisers.interface import Recogniser


def embed(recogniser: Recogniser, pixels: np.ndarray, device=None, batch: int = 128,
          flip: bool = True, rows: np.ndarray | None = None) -> np.ndarray:
    """Raw embeddings float32 (N, D) of uint8 (N, 112, 112, 3) RGB pixels.

    rows       (M,) of the pictures wanted, M embeddings then; None: all
    flip=True adds the raw embeddings of image and mirror image, the habit of insightface's verification.
    The last batch is filled up with black images, so that every image goes through kernels of the same
    batch size. Progress goes to standard error.
    """
    recogniser = recogniser.to(device)
    rows = np.arange(len(pixels)) if rows is None else rows
    vectors = np.empty((len(rows), recogniser.embedding_size), np.float32)
    starts = range(0, len(rows), batch)
    for start in progress(starts, f"embed {recogniser.name}".strip(), len(rows), "images",
                          weight=lambda start: min(batch, len(rows) - start)):
        part = rows[start:start + batch]
        vectors[start:start + len(part)] = embed_batch(recogniser, pixels[part], device, batch, flip)
    return vectors


@torch.no_grad()
def embed_batch(recogniser: Recogniser, pixels: np.ndarray, device=None, batch: int = 128,
                flip: bool = True) -> np.ndarray:
    """Embeddings (n, D) of at most `batch` pictures by a recogniser on `device`; see `embed`."""
    images = to_batch(np.asarray(pixels), device)
    count = len(images)
    if count < batch:
        images = torch.cat([images, images.new_zeros(batch - count, *images.shape[1:])])
    embeddings = recogniser.raw(recogniser.outputs(images))
    if flip:
        embeddings = embeddings + recogniser.raw(recogniser.outputs(images.flip(-1)))
    return embeddings[:count].cpu().numpy()
