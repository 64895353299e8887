"""What a pass of each network costs, counted on shapes alone, and what this machine does in a second, tried.

Rates are tried in a few seconds when they are first asked for.
"""
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.resources import files
from inspect import signature
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fiqa_core.base import project
from fiqa_core.base.device import CGROUP, default_device
from fiqa_core.base.images import read_image
from fiqa_core.base.method import Method
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.enrolment import extract
from fiqa_core.kernels.chunks import output_bytes
from fiqa_core.kernels.diffusion import FACE, Diffusion
from fiqa_core.loading import architectures
from fiqa_core.methods.lightqnet import WIDTHS
from fiqa_core.recognisers.zoo import CATALOGUE, FAMILIES, recogniser_from_catalogue, recogniser_from_config
from fiqa_core.rendering.face_sets import load_protocol, rendered_training_set
from fiqa_core.weights.fit import Undrawn
from fiqa_core.weights.shipped import config_of

# How a time is known: stage `time` measured it, the doctor ran that very work, or a like network, or neither.
MEASURED, TIMED, SCALED, ASSUMED = "measured", "timed", "scaled", "assumed"
CERTAINTY = (MEASURED, TIMED, SCALED, ASSUMED)  # a sum is as certain as its least certain part
CONVOLUTION, ATTENTION = "convolutions", "attention"
PROBES = {CONVOLUTION: "iresnet18", ATTENTION: "insightface_vit_t"}
DIRECT = 0.5e9  # multiply-adds up to which a network is run itself; larger ones are scaled
BATCH = {"cpu": 8, "cuda": 64}
SPAN = 0.4  # seconds that a probe repeats a piece of work
# Input (height, width) of networks that do not take aligned crops as they are.
SIZES = {**{f"lightqnet_{width}": (96, 96) for width in WIDTHS}, "pfe": (112, 96)}
UNET = ("dim", "multipliers", "size", "heads", "head_dim")
# Networks that onnxruntime runs: multiply-adds and parameters in millions, assumed.
# The parameters follow from the size of SFace's file, the multiply-adds are those of a MobileFaceNet.
UNBUILT = {"sface": (230.0, 9.7)}
UNKNOWN = "iresnet50"  # about the size of a network that is built from what its file says


@dataclass(frozen=True)
class Pass:
    """One image through one network.

    name         what tables call the network
    adds         multiply-adds
    parameters   number of them
    widest       bytes of the largest output of a layer; outputs: of all, which a backward pass needs
    family       CONVOLUTION or ATTENTION: which probe tells its speed
    build        the network and its input, for a probe that runs it; None where it is not built here
    """

    name: str
    adds: float
    parameters: int
    widest: int = 0
    outputs: int = 0
    family: str = CONVOLUTION
    build: object = None


def recogniser_pass(config: dict) -> Pass:
    """The recogniser of an entry of `recognisers`: of a checkpoint's architecture, or of a trained family.

    Recognisers that differ in their training alone cost the same, and are counted once.
    """
    config = config_of(config["shipped"]) if "shipped" in config else config
    architecture = config.get("architecture")
    if architecture in UNBUILT:
        millions, parameters = UNBUILT[architecture]
        return Pass(architecture, millions * 1e6, int(parameters * 1e6), widest=112 * 112 * 64 * 4)
    if architecture:
        return architecture_pass(architecture)
    return counted(config["network"], family, _chosen(config, ("network", *FAMILIES[config["network"]][1])))


def family(**config) -> nn.Module:
    return recogniser_from_config(config)


def architecture_pass(name: str) -> Pass:
    """A network by the name of its architecture; one that only its file tells is taken for UNKNOWN."""
    return counted(name, trunk, (("name", name),), SIZES.get(name, (FACE, FACE)),
                   built="meta" if name in CATALOGUE else "cpu")


def trunk(name: str) -> nn.Module:
    """A network by the name of its architecture, of a method what takes a prepared image."""
    if name in CATALOGUE:
        return recogniser_from_catalogue(name)
    model = architectures().get(name, architectures()[UNKNOWN])()
    return getattr(model, "trunk", model)


def diffusion_pass(config: dict) -> Pass:
    """One evaluation of the U-Net that section `diffusion` describes; the published one for a checkpoint."""
    config = config_of(config["shipped"]) if "shipped" in config else config
    size = (config.get("size", FACE),) * 2
    return counted("diffusion model", u_net, _chosen(config, UNET), size, time=True)


def u_net(**config) -> nn.Module:
    return Diffusion(**config).model


def method_pass(method: Method, options: dict) -> Pass:
    """A method with a network of its own, as its options describe it; it prepares images itself."""
    arguments = _chosen(options, signature(method.build).parameters)
    return counted(method.slug, method.build, arguments, built="cpu", run="cpu")


def _chosen(config: dict, keys) -> tuple:
    """Those keys of a mapping of plain values with their values, as what a cache can remember."""
    return tuple((key, tuple(config[key]) if isinstance(config[key], list) else config[key])
                 for key in keys if key in config)


@cache
def counted(name: str, build: Callable, config: tuple, size: tuple = (FACE, FACE), time: bool = False,
            built: str = "meta", run: str = "meta") -> Pass:
    """The Pass of build(**config) for one image of `size` (height, width); `time`: it takes a time index too.

    built, run   devices: on "meta" tensors have a shape and no content, and nothing is drawn or computed
    """
    build = partial(build, **dict(config))
    with Undrawn(), torch.no_grad():
        with torch.device(built):
            network = build().eval().to(run)
        arguments = [part.to(run) for part in sample(size, time)]
        if run != "meta":
            network(*arguments)             # once before: it may look how much memory an image takes
        with FlopCounterMode(display=False) as counter:
            outputs = output_bytes(network, arguments)
    kind = ATTENTION if any(isinstance(layer, nn.LayerNorm) for layer in network.modules()) else CONVOLUTION
    return Pass(name, counter.get_total_flops() / 2, sum(p.numel() for p in network.parameters()),
                max(outputs), sum(outputs), kind, (build, size, time))


def sample(size: tuple, time: bool, count: int = 1) -> tuple[torch.Tensor, ...]:
    """Arguments of a network: `count` images of `size`, and time indices for a U-Net."""
    images = torch.zeros(count, 3, *size)
    return (images, torch.zeros(count, dtype=torch.long)) if time else (images,)


class Machine:
    """Rates of this machine, each tried when it is first asked for."""

    def __init__(self):
        self.device = default_device()
        self._tried: dict = {}

    def pass_seconds(self, network: Pass) -> tuple[float, str]:
        """Seconds of one image through `network` in batches, and whether it was TIMED, SCALED or ASSUMED."""
        if network.build is None:
            return network.adds / self.rate(network.family), ASSUMED
        if network.adds > DIRECT:
            return network.adds / self.rate(network.family), SCALED
        key = network.name, network.adds, network.parameters
        return self._once(key, lambda: self._time(network)), TIMED

    def rate(self, family: str) -> float:
        """Multiply-adds per second of a network of that family with the papers' width."""
        network = architecture_pass(PROBES[family])
        return self._once(family, lambda: network.adds / self._time(network))

    def detect(self, detector: str, side: int) -> float:
        """Seconds to find and align the face in a photograph with that shorter side."""
        def look():
            find, image = load_detector(detector), photograph(side)
            return repeated(lambda: extract(image, None, find, "central"))
        return self._once((detector, side), look)

    def _once(self, key, work: Callable[[], float]) -> float:
        if key not in self._tried:
            self._tried[key] = work()
        return self._tried[key]

    def _time(self, network: Pass) -> float:
        build, size, takes_time = network.build
        count = BATCH[self.device.type] * (1 if network.adds > DIRECT else 8)
        arguments = [tensor.to(self.device) for tensor in sample(size, takes_time, count)]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model = build().eval().requires_grad_(False).to(self.device)
            return repeated(lambda: model(*arguments), self.device) / count

    @cached_property
    def render(self) -> float:
        """Seconds to render one face."""
        protocol = {**load_protocol("training"), "identities": 12}
        elapsed = stopwatch(self.device)
        faces = rendered_training_set(protocol, 0, self.device)
        return elapsed() / len(faces)


def repeated(work: Callable, device: torch.device | None = None) -> float:
    """Seconds of one call of `work`: the least of a few after a first one that warms up."""
    work()
    found, start = [], time.perf_counter()
    while not found or (time.perf_counter() - start < SPAN and len(found) < 20):
        elapsed = stopwatch(device)
        work()
        found.append(elapsed())
    return min(found)


def stopwatch(device: torch.device | None = None) -> Callable[[], float]:
    """A function that tells the seconds since this call, as they would be on an idle machine.

    On a processor that other programs use too, the time that this one was given counts; where several threads
    add up to more than the clock's time, the clock's. Work on a GPU is waited for.
    """
    wall, own = time.perf_counter(), time.process_time()

    def elapsed() -> float:
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
            return time.perf_counter() - wall
        return min(time.perf_counter() - wall, time.process_time() - own)

    return elapsed


def photograph(side: int) -> np.ndarray:
    """A picture with one face in its middle, uint8 (side, side, 3) RGB; side >= 112."""
    face = read_image(Path(str(files("fiqa_core"))) / "inputs" / "samples" / "person_0_frontal.png")
    border = (side - len(face)) // 2
    return np.pad(face, ((border, side - len(face) - border),) * 2 + ((0, 0),), constant_values=128)


def free_disk() -> int:
    """Bytes that are free where the project writes."""
    return shutil.disk_usage(project.root()).free


def free_memory() -> int:
    """Bytes of memory that a new process can have: what is available, or what its control group leaves."""
    meminfo = Path("/proc/meminfo")
    found = [line.split() for line in meminfo.read_text().splitlines()] if meminfo.is_file() else []
    available = [1024 * int(words[1]) for words in found if words[0] == "MemAvailable:"]
    if not available:
        available = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit, used = (CGROUP / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and limit.read_text().strip().isdigit():
        available.append(int(limit.read_text()) - int(used.read_text()))
    return min(available)
