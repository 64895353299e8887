"""Embeddings of many images."""
import numpy as np
import torch

from fiqa_core.images import to_batch
from fiqa_core.progress import progress
from fiqa_core.recognisers.interface import Recogniser


def embed(recogniser: Recogniser, pixels: np.ndarray, device=None, batch: int = 128,
          flip: bool = True) -> np.ndarray:
    """Raw embeddings float32 (N, D) of uint8 (N, 112, 112, 3) RGB pixels.

    flip=True adds the raw embeddings of image and mirror image, the habit of insightface's verification.
    The last batch is filled up with black images, so that every image goes through kernels of the same
    batch size. Progress goes to standard error.
    """
    recogniser = recogniser.to(device)
    vectors = np.empty((len(pixels), recogniser.embedding_size), np.float32)
    starts = range(0, len(pixels), batch)
    with torch.no_grad():
        for start in progress(starts, f"embed {recogniser.name}".strip(), len(pixels), "images",
                              weight=lambda start: min(batch, len(pixels) - start)):
            images = to_batch(pixels[start:start + batch], device)
            count = len(images)
            if count < batch:
                images = torch.cat([images, images.new_zeros(batch - count, *images.shape[1:])])
            embeddings = recogniser.raw(recogniser.outputs(images))
            if flip:
                embeddings = embeddings + recogniser.raw(recogniser.outputs(images.flip(-1)))
            vectors[start:start + count] = embeddings[:count].cpu().numpy()
    return vectors
