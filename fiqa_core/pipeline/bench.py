"""`python -m fiqa_core bench`: how fast every kernel is here, how near the device's limit, and what precision costs.

Networks are untrained and deterministic, faces are rendered: time and memory do not depend on what is learnt. The
limit is the rate of a large matrix product or convolution, whichever is faster, measured in the same precision.
What a precision does to the ranking is told beside what another seed of the noise does to it: where both are alike,
nothing is lost that repeating the measurement would keep.
"""
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import write_csv, write_text
from fiqa_core.base.images import to_batch
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.kernels.ediffiqa import EDifFIQA
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.pipeline.timing import parameters, processor
from fiqa_core.recognisers.precision import computing, with_precision
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.zoo import recogniser_from_catalogue, recogniser_from_config
from fiqa_core.rendering.face_sets import LEAST_IDENTITIES, load_protocol, rendered_training_set

FACES = 200                                     # whose ranks are compared, and that are timed
RUNS = 3                                        # of which the median counts; slow work runs once (see SLOW)
SLOW = 5.0                                      # seconds
TINY = {"network": "iresnet", "name": "IResNet, 16 to 128 wide", "blocks": [1, 1, 1, 1], "widths": [16, 32, 64, 128],
        "stem_stride": 2, "size": 56, "embedding": 128}
TINY_DIFFUSION = {"dim": 8, "multipliers": (1, 2, 4), "size": 28, "heads": 2, "head_dim": 8}
COLUMNS = ["kernel", "network", "parameters", "precision", "images", "ms", "gflop", "tflops", "limit_tflops", "share",
           "peak_mb", "agreement", "seed_agreement"]


@dataclass(frozen=True)
class Work:
    """One kernel on one network.

    build   (precision, generator of the noise's seed or None) -> the method, on the device
    seeded  whether it draws noise, so that another seed gives another ranking
    """

    kernel: str
    network: str
    build: Callable
    seeded: bool


def run(device: torch.device, small: bool, out: Path, faces: int = FACES) -> pd.DataFrame:
    """Measure, print each row when it is known, and write OUT.csv and OUT.json.

    small   small networks, for a CPU; else those of the papers
    Raises FiqaError for fewer than 3 faces.
    """
    if faces < 3:
        raise FiqaError(f"--faces {faces}", "give at least 3: their ranks are compared")
    images = rendered_faces(faces, device)
    precisions = ("float32", "tf32", "bf16") if device.type == "cuda" else ("float32", "bf16")
    rates = {precision: limit(device, precision, 1024 if small else 8192) for precision in precisions}
    rows = []
    print(heading(device), flush=True)
    for work in works(device, images, small):
        for row in measure(work, images, precisions, rates):
            rows.append(row)
            print(line(row), flush=True)
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_csv(table, out.with_suffix(".csv"), decimals=4)
    facts = {"device": str(device), "processor": processor(device), "threads": torch.get_num_threads(),
             "torch": torch.__version__, "faces": faces, "networks": "small" if small else "papers"}
    whole = {**facts, "rows": json.loads(table.to_json(orient="records"))}
    write_text(json.dumps(whole, indent=1) + "\n", out.with_suffix(".json"))
    return table


def rendered_faces(count: int, device: torch.device) -> torch.Tensor:
    """(count, 3, 112, 112) in [0, 1], the same on every machine."""
    protocol = load_protocol("training")
    each = -(-count // LEAST_IDENTITIES)
    protocol |= {"identities": LEAST_IDENTITIES, "groups": {"any": {**protocol["groups"]["spoilt"], "images": each}}}
    pixels = rendered_training_set(protocol, 0, device).pixels[:count]
    return to_batch(np.asarray(pixels), device)


def works(device: torch.device, images: torch.Tensor, small: bool) -> Iterator[Work]:
    """The kernels at the papers' settings: FaceQAN with k = 10, DifFIQA with n = 10, t = 5, eDifFIQA."""
    names = [None] if small else ["iresnet18", "iresnet50", "iresnet100"]
    sizes = {"iresnet18": "S", "iresnet50": "M", "iresnet100": "L"}
    for name in names:
        recogniser = calibrated(recogniser_of(name), images)
        yield Work("FaceQAN, k = 10", recogniser.name, lambda precision, generator: FaceQAN(
            recogniser, generator=generator, precision=precision), True)
        yield Work(f"eDifFIQA({sizes.get(name, 'small')})", recogniser.name,
                   lambda precision, generator: one_pass(recogniser, precision), False)
    diffusion = diffusion_model(TINY_DIFFUSION if small else {}).to(device)
    yield Work("DifFIQA, n = 10", f"U-Net {diffusion.config['dim']}, {recogniser.name}",
               lambda precision, generator: DifFIQA(diffusion, recogniser, generator=generator, precision=precision),
               True)


def recogniser_of(name: str | None) -> Recogniser:
    """Deterministic weights; None: the small one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return recogniser_from_catalogue(name) if name else recogniser_from_config(TINY)


def diffusion_model(config: dict) -> Diffusion:
    """Deterministic weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Diffusion(**config).eval().requires_grad_(False)


@torch.no_grad()
def calibrated(recogniser: Recogniser, images: torch.Tensor) -> Recogniser:
    """The recogniser on the images' device, its norms with the statistics of some of them, frozen."""
    recogniser.to(images.device).train()
    for layer in recogniser.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = 1.0
        elif isinstance(layer, (nn.Dropout, nn.Dropout2d)):
            layer.eval()
    recogniser(images[:32])
    return recogniser.freeze()


def one_pass(recogniser: Recogniser, precision: str) -> EDifFIQA:
    """eDifFIQA on a recogniser, its head with deterministic weights, too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = with_precision(EDifFIQA(recogniser), precision)
    return method.to(recogniser.mean.device).requires_grad_(False)


def measure(work: Work, images: torch.Tensor, precisions: tuple[str, ...], rates: dict) -> Iterator[dict]:
    """A row for each precision, float32 first."""
    exact = other = None
    for precision in precisions:
        method = work.build(precision, None)
        method(images[:8])                                      # warms up, and sees how much memory an image takes
        with Operations() as counter:
            method(images[:1])
        reset_peak(images.device)
        seconds, scores = timed(lambda: method(images), images.device)
        peak = peak_memory(images.device)
        if exact is None:
            exact = scores
            if work.seeded:
                other = work.build(precision, torch.Generator().manual_seed(1))(images).cpu()
        ms, gflop = 1000 * seconds / len(images), counter.total / 1e9
        tflops = gflop / ms
        yield {"kernel": work.kernel, "network": work.network, "parameters": parameters(method) / 1e6,
               "precision": precision, "images": len(images), "ms": ms, "gflop": gflop, "tflops": tflops,
               "limit_tflops": rates[precision], "share": tflops / rates[precision], "peak_mb": peak / 2**20,
               "agreement": spearman(exact, scores),
               "seed_agreement": np.nan if other is None else spearman(exact, other)}


class Operations(TorchDispatchMode):
    """Counts the floating point operations of products and convolutions, forward and backward, in `total`.

    torch's FlopCounterMode also tells which module they belong to, and cannot for `torch.autograd.grad`.
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, given=(), named=None):
        result = function(*given, **(named or {}))
        count = flop_registry.get(function._overloadpacket)
        if count is not None:
            self.total += count(*given, **(named or {}), out_val=result)
        return result


def timed(work: Callable[[], torch.Tensor], device: torch.device) -> tuple[float, torch.Tensor]:
    """Median seconds of RUNS calls, of the first alone where it is slow, and the result on the CPU."""
    seconds = []
    while len(seconds) < RUNS and (not seconds or seconds[0] < SLOW):
        elapsed = stopwatch(device)
        result = work().cpu()
        seconds.append(elapsed())
    return statistics.median(seconds), result


def limit(device: torch.device, precision: str, side: int) -> float:
    """Rate in TFLOP/s of a product of (side, side) matrices, or of a 3x3 convolution of as many operations."""
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    count = max(1, side**3 // (9 * 256 * 256 * 56 * 56))
    conv = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(device, memory_format=torch.channels_last)
    maps = torch.randn(count, 256, 56, 56, device=device).to(memory_format=torch.channels_last)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b, maps, conv = a.to(kind), b.to(kind), maps.to(kind), conv.to(kind)
    products = ((lambda: a @ b, 2 * side**3), (lambda: conv(maps), 2 * count * 9 * 256 * 256 * 56 * 56))
    with computing("tf32" if precision == "tf32" else "float32"), torch.no_grad():
        return max(amount / fastest(product, device) for product, amount in products) / 1e12


def fastest(work: Callable, device: torch.device) -> float:
    """Least seconds of ten calls after two that do not count."""
    found = []
    for _ in range(12):
        elapsed = stopwatch(device)
        work()
        found.append(elapsed())
    return min(found[2:])


def stopwatch(device: torch.device) -> Callable[[], float]:
    """A function that tells the seconds since this call.

    Of a CPU that other programs use too, what this process had of it, and the clock's where several threads worked;
    a GPU's work is waited for.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    wall, own = time.perf_counter(), time.process_time()

    def elapsed() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            return time.perf_counter() - wall
        return min(time.perf_counter() - wall, time.process_time() - own)

    return elapsed


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on a GPU since `reset_peak`, of the whole process since it began on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def spearman(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(spearmanr(a.double(), b.double()).statistic)


def heading(device: torch.device) -> str:
    return (f"{processor(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}\n"
            f"{'kernel':<18} {'network':<36} {'precision':<9} {'ms/image':>9} {'TFLOP/s':>8} {'limit':>7} {'share':>6} "
            f"{'peak MB':>8} {'Spearman':>8} {'seed':>7}")


def line(row: dict) -> str:
    """A row as text; `seed` is the agreement of two seeds in float32."""
    seed = "-" if np.isnan(row["seed_agreement"]) else f"{row['seed_agreement']:.4f}"
    return (f"{row['kernel']:<18} {row['network']:<36} {row['precision']:<9} {row['ms']:9.3f} {row['tflops']:8.3f} "
            f"{row['limit_tflops']:7.2f} {row['share']:6.0%} {row['peak_mb']:8.0f} {row['agreement']:8.4f} {seed:>7}")
