"""The kernels against plain transcriptions of the published algorithms: python -m tests.tools.time_kernels

Both run in turn in one process on the same networks of random weights with the same noise; counted is processor
time, the median of several runs, one thread. The transcriptions (`tests.helpers.published_layers`) are of torch's
own layers and score one image at a time, its repeats in a batch, as the published programs do. Rows:
- FaceQAN with k = 10 on three recognisers, DifFIQA with n = 10 and the U-Net by its width, eDifFIQA(S) in one pass;
- with --onnx, eDifFIQA(S) in onnxruntime; `score --help` as the processor time of its process.
`python -m tests.tools.time_edc` does the same for error-versus-discard curves. `--rows faceqan` picks rows.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from fiqa_core.base.process import settle  # noqa: E402

settle()

import torch  # noqa: E402

from fiqa_core.kernels.diffiqa import DifFIQA  # noqa: E402
from fiqa_core.kernels.ediffiqa import EDifFIQA  # noqa: E402
from fiqa_core.kernels.faceqan import FaceQAN  # noqa: E402
from fiqa_core.pipeline.bench import TINY, calibrated, diffusion_model, recogniser_of  # noqa: E402
from fiqa_core.recognisers.zoo import recogniser_from_config  # noqa: E402
from tests.helpers import published_layers as published  # noqa: E402
from tests.helpers.small_networks import faces  # noqa: E402


def in_turn(ours, theirs, runs: int) -> tuple[float, float, float]:
    """Median seconds of processor time of each after a first run, and the largest difference of their results."""
    spent = ([], [])
    for _ in range(runs + 1):
        results = []
        for work, seconds in zip((ours, theirs), spent):
            start = time.process_time()
            results.append(work())
            seconds.append(time.process_time() - start)
    return *(statistics.median(seconds[1:]) for seconds in spent), float((results[0] - results[1]).abs().max())


def faceqan(name: str, count: int):
    images = faces(count, 9)
    recogniser = calibrated(recogniser_of(name), faces(16))
    method, plain = FaceQAN(recogniser), published.plain(recogniser)
    return lambda: method(images), lambda: published.faceqan(images, plain), count


def diffiqa(dim: int, count: int):
    images = faces(count, 9)
    recogniser, diffusion = calibrated(recogniser_from_config(TINY), faces(16)), diffusion_model({"dim": dim})
    method, plain = DifFIQA(diffusion, recogniser), published.plain(diffusion)
    return lambda: method(images), lambda: published.diffiqa(images, plain, published.plain(recogniser)), count


def unet(dim: int, count: int):
    model = diffusion_model({"dim": dim}).model
    plain, x, time_ = published.plain(model), 2 * faces(count, 9) - 1, torch.full((count,), 3)
    return torch.no_grad()(lambda: model(x, time_)), torch.no_grad()(lambda: plain(x, time_)), count


def ediffiqa(count: int):
    images = faces(count, 9)
    method = EDifFIQA(calibrated(recogniser_of("iresnet18"), faces(16))).requires_grad_(False)
    plain = published.plain(method.network)
    return (lambda: method(images),
            torch.no_grad()(lambda: plain(method.prepare(images).contiguous())[1].squeeze(1)), count)


def in_onnxruntime(count: int):
    import onnxruntime
    images = faces(count, 9)
    method = EDifFIQA(calibrated(recogniser_of("iresnet18"), faces(16))).requires_grad_(False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(published.plain(method.network), (method.prepare(images),), path, dynamo=False)
        session = onnxruntime.InferenceSession(path.read_bytes(), options)
    name = session.get_inputs()[0].name
    return (lambda: method(images), lambda: torch.from_numpy(
        session.run(None, {name: method.prepare(images).contiguous().numpy()})[1]).squeeze(1), count)


ROWS = {"faceqan MobileFaceNet": lambda: faceqan("mobilefacenet_insightface_mxnet", 2),
        "faceqan IResNet-18": lambda: faceqan("iresnet18", 2), "faceqan IResNet-50": lambda: faceqan("iresnet50", 2),
        "diffiqa U-Net 16": lambda: diffiqa(16, 1), "diffiqa U-Net 32": lambda: diffiqa(32, 1),
        "unet 128, one evaluation": lambda: unet(128, 2), "ediffiqa S, one pass": lambda: ediffiqa(16)}


def help_seconds() -> float:
    """Processor time of `score --help`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "fiqa_core", "score", "--help"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help="beginning of the rows' names")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--onnx", action="store_true", help="also eDifFIQA(S) in onnxruntime")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {**ROWS, **({"ediffiqa S, onnxruntime": lambda: in_onnxruntime(16)} if args.onnx else {})}
    print(f"{'work':<26} {'plain ms':>9} {'ours ms':>9} {'plain / ours':>12} {'difference':>10}")
    for name, build in rows.items():
        if name.startswith(args.rows):
            ours, theirs, count = build()
            fast, slow, difference = in_turn(ours, theirs, args.runs)
            print(f"{name:<26} {1000 * slow / count:9.1f} {1000 * fast / count:9.1f} {slow / fast:12.2f} "
                  f"{difference:10.1e}", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if "score --help".startswith(args.rows):
        print(f"score --help: {help_seconds():.2f} s")


if __name__ == "__main__":
    main()
