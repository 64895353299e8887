"""How much disk and memory a suite needs. Sizes of what is written are counted; memory is a rule of thumb."""
from dataclasses import dataclass

import torch

from fiqa_core.doctor.costs import Costs
from fiqa_core.doctor.findings import PRESENT, TOO_LITTLE, Finding
from fiqa_core.doctor.machine import free_disk, free_memory
from fiqa_core.doctor.networks import Pass
from fiqa_core.doctor.plan import benchmark_images, frozen, models, training_images
from fiqa_core.doctor.workload import Faces
from fiqa_core.evaluation.evaluate import PARALLEL
from fiqa_core.kernels.chunks import CPU_BUDGET
from fiqa_core.loading import ONNX_RECOGNISERS
from fiqa_core.pipeline.suites import TRAINED as TRAINERS
from fiqa_core.recognisers.zoo import CATALOGUE

CROP = 112 * 112 * 3
CACHED = 2  # DVC keeps a second copy of what stages write, unless the file system can share it
ROW = 60  # bytes of a line of scores
PROCESS = 0.7e9  # Python with torch and pandas
TRAINED = 16  # bytes per parameter that learns: weight, gradient, two moments
WIDEST, KEPT = 3, 2  # of a layer: input, output and work; of a training step: all outputs and their gradients
PAIR = 32  # bytes of a comparison in memory, and 8 more per recogniser
COPIES = 3  # of the weights (genuine pairs x resamples) that intervals hold at once


@dataclass(frozen=True)
class Need:
    """Bytes of disk or main memory, and what for; `network`: further ones, on the GPU where there is one."""

    what: str
    amount: float
    network: float = 0.0


def resource_findings(suite: dict, sets: list[Faces], costs: Costs) -> list[Finding]:
    """Disk and memory: what is needed, what is free, and whether that suffices."""
    disk, memory = disk_needs(suite, sets, costs), memory_needs(suite, sets, costs)
    device = costs.machine.device
    if device.type == "cuda":
        largest = max(memory, key=lambda need: need.network)
        on_device = [_memory("GPU memory", largest.what, largest.network, torch.cuda.mem_get_info(device)[0])]
    else:
        memory, on_device = [Need(need.what, need.amount + need.network) for need in memory], []
    most = max(memory, key=lambda need: need.amount)
    parts = ", ".join(f"{need.what} {gigabytes(need.amount)}" for need in disk)
    total = sum(need.amount for need in disk)
    remedy = "make room, or put the project on a larger disk"
    return [_compare("disk", total, free_disk(), f"with DVC's copies: {parts}", remedy),
            _memory("memory", most.what, most.amount, free_memory()), *on_device]


def disk_needs(suite: dict, sets: list[Faces], costs: Costs) -> list[Need]:
    """What the stages write below build, with DVC's copies."""
    images = benchmark_images(sets)
    compared = [config for config in suite["recognisers"].values() if config.get("compare", True)]
    recognisers = sum(costs.recogniser_pass(slug).parameters for slug in suite["recognisers"])
    quality = [slug for section in ("baselines", "distilled") for slug in suite.get(section) or {}]
    judges = models(suite) * sum(network.parameters for slug in quality for network, _ in costs.passes(slug))
    return [
        Need("faces", CACHED * CROP * (images + training_images(sets))),
        Need("embeddings", CACHED * 4 * images * sum(embedding_size(config) for config in compared)),
        Need("networks", CACHED * 4 * (recognisers + judges)),
        Need("scores", CACHED * ROW * images * len(costs.slugs())),
    ]


def memory_needs(suite: dict, sets: list[Faces], costs: Costs) -> list[Need]:
    """Memory of the stages that need much: their networks' part, and the rest."""
    passes = {slug: costs.recogniser_pass(slug) for slug in suite["recognisers"]}
    needs = [
        Need(
            "prepare faces",
            PROCESS
            + (
                CROP * sum(faces.images for faces in sets) if suite["faces"]["source"] == "photographs" else 0
            ),
        )
    ]
    batch = suite["embed"].get("batch", 128)
    needs += [Need(f"embed with {slug}", PROCESS, _running(network, batch))
              for slug, network in passes.items()]
    held = PROCESS + CROP * training_images(sets)
    needs += [Need(f"train {slug}", held, _learning(passes[slug], config.get("batch", 128)))
              for slug, config in suite["recognisers"].items() if "checkpoint" not in config]
    diffusion = suite.get("diffusion") or {}
    if diffusion and "checkpoint" not in diffusion:
        batch = diffusion.get("batch", 64)
        needs.append(Need("train the diffusion model", held, _learning(costs.diffusion_pass(), batch)))
    for slug, config in (suite.get("baselines") or {}).items():
        chosen = {**TRAINERS[slug], **(config or {})}
        if "checkpoint" not in chosen:
            batch = chosen.get("batch") or chosen.get("people", 16) * chosen.get("each", 8)
            needed = _running if frozen(slug, chosen) else _learning
            needs.append(Need(f"train {slug}", held, needed(costs.one_pass(slug, chosen), batch)))
    return [*needs, Need("evaluate", evaluation_memory(suite, sets))]


def evaluation_memory(suite: dict, sets: list[Faces]) -> float:
    """The largest benchmarks, measured side by side: pairs, similarities, weights of the resamples."""
    resamples = suite["evaluation"].get("resamples", 1000)
    compared = sum(config.get("compare", True) for config in suite["recognisers"].values())
    each = sorted(
        (
            COPIES * 4 * faces.genuine * resamples + (faces.genuine + faces.impostor) * (PAIR + 8 * compared)
            for faces in sets
        ),
        reverse=True,
    )
    return PROCESS + sum(each[:PARALLEL])


def embedding_size(config: dict) -> int:
    """D of a recogniser of the suite."""
    architecture = config.get("architecture")
    if architecture in ONNX_RECOGNISERS:
        return ONNX_RECOGNISERS[architecture]["embedding_size"]
    return (
        CATALOGUE[architecture].embedding_size if architecture in CATALOGUE else config.get("embedding", 512)
    )


def gigabytes(amount: float) -> str:
    """Bytes in words: "0.4 GB", "37 GB"."""
    return f"{amount / 1e9:.1f} GB" if amount < 10e9 else f"{amount / 1e9:.0f} GB"


def _running(network: Pass, batch: int) -> float:
    return 8 * network.parameters + max(CPU_BUDGET, batch * network.widest * WIDEST)


def _learning(network: Pass, batch: int) -> float:
    return TRAINED * network.parameters + batch * network.outputs * KEPT


def _memory(name: str, what: str, need: float, free: int) -> Finding:
    remedy = "close other programs, lower embed.batch or evaluation.resamples, or leave a benchmark out"
    return _compare(name, need, free, f"most of all to {what}", remedy)


def _compare(name: str, need: float, free: int, detail: str, remedy: str) -> Finding:
    enough = need <= free
    found = f"needs {gigabytes(need)}, {gigabytes(free)} free; {detail}"
    return Finding("this machine", name, PRESENT if enough else TOO_LITTLE, found,
                   remedy="" if enough else remedy)
