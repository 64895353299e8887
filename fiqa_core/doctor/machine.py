"""What this machine does in a second, measured in a few seconds, and how much memory and disk it has left."""
import os
import shutil
import time
from collections.abc import Callable
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import read_image
from fiqa_core.benchmarks.alignment import detect_and_align
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.doctor.networks import ATTENTION, CONVOLUTION, Pass, architecture_pass, sample
from fiqa_core.evaluation.evaluate import evaluate
from fiqa_core.rendering.face_sets import load_protocol, rendered_training_set

# How a time is known: stage `time` measured it, the doctor ran that very work, or a like network, or neither.
MEASURED, TIMED, SCALED, ASSUMED = "measured", "timed", "scaled", "assumed"
CERTAINTY = (MEASURED, TIMED, SCALED, ASSUMED)  # a sum is as certain as its least certain part
PROBES = {CONVOLUTION: "iresnet18", ATTENTION: "insightface_vit_t"}
DIRECT = 0.5e9  # multiply-adds up to which a network is run itself; larger ones are scaled
BATCH = {"cpu": 8, "cuda": 64}
SPAN = 0.4  # seconds that a probe repeats a piece of work
CGROUP = Path("/sys/fs/cgroup")
PEOPLE, EACH, RESAMPLES = 60, 8, 400
REFERENCES = 2  # the oracle and chance are evaluated like methods


class Machine:
    """Rates of this machine, each probed when it is first asked for."""

    def __init__(self):
        self.device = default_device()
        self._passes: dict = {}

    def pass_seconds(self, network: Pass) -> tuple[float, str]:
        """Seconds of one image through `network` in batches, and whether it was TIMED, SCALED or ASSUMED."""
        if network.build is None:
            return network.adds / self.rate(network.family), ASSUMED
        if network.adds > DIRECT:
            return network.adds / self.rate(network.family), SCALED
        key = network.name, network.adds, network.parameters
        if key not in self._passes:
            self._passes[key] = self._time(network)
        return self._passes[key], TIMED

    def rate(self, family: str) -> float:
        """Multiply-adds per second of a network of that family with the papers' width."""
        if family not in self._passes:
            network = architecture_pass(PROBES[family])
            self._passes[family] = network.adds / self._time(network)
        return self._passes[family]

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

    def detect(self, detector: str, side: int) -> float:
        """Seconds to find and align the face in a photograph with that shorter side."""
        key = detector, side
        if key not in self._passes:
            find, image = load_detector(detector), photograph(side)
            self._passes[key] = repeated(lambda: detect_and_align(image, find, "central"))
        return self._passes[key]

    @cached_property
    def evaluation(self) -> tuple[float, float]:
        """Seconds per pair and recogniser, and per genuine pair, recogniser, method and resample."""
        faces, methods = probe_faces(), ["first", "second", "third"]
        rng = np.random.default_rng(0)
        vectors = {(recogniser, faces.name): rng.standard_normal((len(faces), 32)).astype(np.float32)
                   for recogniser in ("one", "another")}
        scores = pd.concat(
            [
                pd.DataFrame(
                    {
                        "benchmark": faces.name,
                        "image_id": faces.images["image_id"],
                        "method": name,
                        "score": rng.random(len(faces)),
                    }
                )
                for name in methods
            ]
        )

        def seconds(resamples):
            elapsed = stopwatch()
            evaluate({faces.name: faces}, vectors, scores, {"fmr": 0.01, "resamples": resamples})
            return elapsed()

        seconds(1)  # loads what is loaded late
        plain, full, genuine = seconds(0), seconds(RESAMPLES), int(faces.pairs["genuine"].sum())
        return (plain / (len(faces.pairs) * len(vectors)),
                max(full - plain, 0) / (genuine * len(vectors) * (len(methods) + REFERENCES) * RESAMPLES))


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
    """A picture with one face in its middle, uint8 (side, side, 3) RGB."""
    face = read_image(Path(str(files("fiqa_core"))) / "inputs" / "samples" / "person_0_frontal.png")
    picture = np.full((max(side, 112), max(side, 112), 3), 128, np.uint8)
    first = (len(picture) - 112) // 2
    picture[first : first + 112, first : first + 112] = face
    return picture


def probe_faces() -> FaceSet:
    """A face set of noise, with all genuine pairs and as many impostors as a small benchmark."""
    names = [f"{person:03d}_{k}" for person in range(PEOPLE) for k in range(EACH)]
    person = np.repeat(np.arange(PEOPLE), EACH)
    a, b = np.triu_indices(len(names), 1)
    genuine = (person[a] == person[b]).astype(int)
    kept = np.flatnonzero(genuine | (np.arange(len(a)) % 7 == 0))
    images = pd.DataFrame(
        {
            "image_id": names,
            "identity": person.astype(str),
            "template_id": names,
            "media_id": names,
            "crossfit": 0,
        }
    )
    table = np.array(names, dtype=object)
    pairs = pd.DataFrame(
        {"a": table[a[kept]], "b": table[b[kept]], "genuine": genuine[kept], "fold": person[a[kept]] % 10 + 1}
    )
    return FaceSet("probe", np.zeros((len(names), 112, 112, 3), np.uint8), images, pairs)


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
