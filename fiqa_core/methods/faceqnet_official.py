"""FaceQnet as its authors released it: `FaceQnet.h5` (v0, ICB 2019) and `FaceQnet_v1.h5` (arXiv 2006.03298).

Both are whole Keras models: the ResNet-50 of VGGFace2 with the stride in each bottleneck's first convolution,
and a regression head. Widths and activations of the head, and whether the recogniser's last layer (dim_proj)
was kept, are published in the files alone, so that the network is built from what the file says of itself. No
training code is public, nor how v1 fuses the scores it learnt from; `faceqnet` trains by the papers' rule.
"""
from pathlib import Path

import cv2
import numpy as np
import torch

from fiqa_core.images import to_pixels
from fiqa_core.methods.one_pass import OnePass
from fiqa_core.weights.keras_models import KerasNetwork, read_keras_network

SIDE = 224


class OfficialFaceQnet(OnePass):
    """Aligned images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) in [0, 1], higher is better.

    The authors cut the box of an MTCNN detection, without rotation and with a margin that is not stated, and
    resize it to 224 x 224. Here the aligned crop is resized, so that scores differ somewhat from theirs. v0 and
    v1 have different scales. The tanh in early revisions of their script belongs to a model of distances that
    was not released; it has no place here.
    network   as `read_faceqnet` reads it
    budget    bytes of activations at once; None: chosen for the device
    """

    def __init__(self, network: KerasNetwork, budget: int | None = None):
        super().__init__(network, budget)
        self.eval()

    def prepare(self, images):
        """(B, 3, 224, 224) BGR in 0..255, nothing subtracted: resized in 8 bits by OpenCV. No gradient."""
        large = np.stack([cv2.resize(pixels, (SIDE, SIDE)) for pixels in to_pixels(images)])
        return torch.from_numpy(large[..., ::-1].copy()).to(images.device).permute(0, 3, 1, 2).float()

    def columns(self, images):
        return self.network(self.prepare(images)).clamp(0, 1)


def read_faceqnet(path: Path) -> OfficialFaceQnet:
    """FaceQnet of a Keras file. Raises FiqaError where that gives no single number of a 224 x 224 face."""
    return OfficialFaceQnet(read_keras_network(path, (SIDE, SIDE, 3), outputs=1))
