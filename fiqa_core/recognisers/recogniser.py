"""A recogniser: images in, embeddings out. Its normalisation, colour order and crop travel with it."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.base.images import to_batch
from fiqa_core.base.progress import progress
from fiqa_core.recognisers.layers import block_mean


class Recogniser(nn.Module):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1], aligned, to raw embeddings (B, embedding_size).

    network         takes the prepared images; where it returns a tuple, `output` says which is the embedding,
                    and `norm` by which one the network has divided it (AdaFace)
    embedding_size  D
    name            for tables
    colour          "rgb" or "bgr", what the network was trained with
    mean, std       of a channel, or three each, in units of [0, 1] and in the network's colour order
    size            (height, width) the network wants: 56 from 112 is the exact mean of 2x2 pixels, any other
                    smaller size an antialiased bilinear resize
    columns         (first, last + 1) of the columns the network sees, None for all
    config          what rebuilds the network; saved with it
    Gradients flow to the images. The embedding is not normalised unless the network itself does it.
    """

    def __init__(self, network, embedding_size, name="", colour="rgb", mean=0.5, std=0.5, size=(112, 112),
                 columns=None, output=0, config=None, norm=None):
        super().__init__()
        self.layout = fast_layout(network)
        self.network = network.to(memory_format=self.layout)
        self.embedding_size, self.name, self.colour = embedding_size, name, colour
        self.size, self.columns, self.config = tuple(size), columns, config
        self.output, self.norm = output, norm
        # Not part of the state: a checkpoint holds the network alone.
        self.register_buffer("mean", torch.as_tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.as_tensor(std).reshape(-1, 1, 1), persistent=False)

    def prepare(self, images):
        """Images as the network wants them: cropped, resized, its colour order, normalised."""
        if self.columns is not None:
            images = images[..., self.columns[0]:self.columns[1]]
        images = resize(images, self.size)
        if self.colour == "bgr":
            images = images.flip(1)
        return ((images - self.mean) / self.std).contiguous(memory_format=self.layout)

    def outputs(self, images):
        """Everything the network returns, as a tuple."""
        result = self.network(self.prepare(images))
        return result if isinstance(result, tuple) else (result,)

    def forward(self, images):
        return self.outputs(images)[self.output]

    def raw(self, outputs):
        """The embedding among `outputs`, times its norm where the network has divided by it.

        What a sum over image and mirror image or a margin head wants; its direction is that of `forward`.
        """
        embedding = outputs[self.output]
        return embedding if self.norm is None else embedding * outputs[self.norm]

    def freeze(self):
        """Evaluation mode without parameter gradients; returns itself."""
        return self.eval().requires_grad_(False)


def fast_layout(network):
    """Channels last, in which convolutions are fastest on CPU and GPU; the plain layout for odd widths.

    torch 2.13 on the CPU corrupts memory when it trains convolutions of a width that is no multiple of 16
    in channels-last layout.
    """
    widths = [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    return torch.channels_last if all(width % 16 == 0 for width in widths) else torch.contiguous_format


def resize(images, size):
    """Images (B, C, H, W) at `size` (height, width); whole ratios average exact blocks of pixels."""
    height, width = images.shape[-2:]
    if (height, width) == size:
        return images
    if height % size[0] == 0 and (width, size[1]) == (height, size[0]):
        return block_mean(images, height // size[0])
    return F.interpolate(images, size, mode="bilinear", antialias=True)


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
