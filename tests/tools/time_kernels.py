"""Milliseconds per image of the kernels and of their plain transcription: python -m tests.tools.time_kernels

FaceQAN with k = 10 and DifFIQA with n = 10, small networks, one thread; medians of several runs.
"""
import statistics
import time

import torch

from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.faceqan import FaceQAN
from tests.helpers import plain_reference
from tests.helpers.small_networks import diffusion, faces, recogniser

RUNS, IMAGES = 3, 4


def milliseconds(score) -> float:
    """Median time per image of `score()`, which scores IMAGES images, after one run that does not count."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        score()
        times.append(1000 * (time.perf_counter() - start) / IMAGES)
    return statistics.median(times[1:])


def main():
    torch.set_num_threads(1)
    images = faces(IMAGES)
    network = recogniser(widths=(16, 32, 64, 128), embedding=128)
    model = diffusion(multipliers=(1, 2, 4, 8), size=56, head_dim=8)
    pairs = {"FaceQAN, k = 10": (FaceQAN(network), lambda: plain_reference.faceqan(images, network)),
        "DifFIQA, n = 10": (DifFIQA(model, network), lambda: plain_reference.diffiqa(images, model, network))}
    print(f"{IMAGES} images, {torch.get_num_threads()} thread, torch {torch.__version__}")
    for name, (method, plain) in pairs.items():
        difference = (method(images) - plain()).abs().max().item()
        ours, theirs = milliseconds(lambda method=method: method(images)), milliseconds(plain)
        print(
            f"{name}: batched {ours:.0f} ms, plain {theirs:.0f} ms per image, {theirs / ours:.1f} x; "
            f"largest difference of a score {difference:.1e}"
        )


if __name__ == "__main__":
    main()
