"""How much disk and memory a suite needs. Sizes of what is written are counted; memory is a rule of thumb."""
from dataclasses import dataclass

import torch

from fiqa_core.doctor.estimates import Costs, benchmark_images, frozen, training_images
from fiqa_core.doctor.machine import Pass, free_disk, free_memory
from fiqa_core.doctor.needs import PRESENT, TOO_LITTLE, Finding
from fiqa_core.doctor.workload import Faces
from fiqa_core.evaluation.evaluate import PARALLEL
from fiqa_core.kernels.chunks import CPU_BUDGET
from fiqa_core.loading import ONNX_RECOGNISERS
from fiqa_core.recognisers.zoo import CATALOGUE
from fiqa_core.registry import methods

CROP = 112 * 112 * 3
CACHED = 2  # DVC keeps a second copy of what stages write, unless the file system can share it
ROW = 60  # bytes of a line of scores
PROCESS = 0.7e9  # Python with torch and pandas
LEARNT = 16  # bytes per parameter that learns: weight, gradient, two moments
WIDEST, KEPT = 3, 2  # of a layer: input, output and work; of a training step: all outputs and their gradients
PAIR = 32  # bytes of a comparison in memory, and 8 more per recogniser
COPIES = 3  # of the weights (genuine pairs x resamples) that intervals hold at once


@dataclass(frozen=True)
class Need:
    """Bytes of disk or main memory, and what for; `network`: further ones, on the GPU where there is one."""

    what: str
    amount: float
    network: float = 0.0


def resource_findings(costs: Costs, sets: list[Faces]) -> list[Finding]:
    """Disk and memory: what is needed, what is free, and whether that suffices."""
    disk, memory, device = disk_needs(costs, sets), memory_needs(costs, sets), costs.machine.device
    remedy = "close other programs, lower embed.batch or evaluation.resamples, or leave a benchmark out"
    found = [verdict("disk", sum(need.amount for need in disk), free_disk(), "with DVC's copies: " +
                     ", ".join(f"{need.what} {gigabytes(need.amount)}" for need in disk),
                     "make room, or put the project on a larger disk")]
    rooms = [("memory", free_memory(), lambda need: need.amount + need.network)]
    if device.type == "cuda":
        rooms = [("memory", free_memory(), lambda need: need.amount),
                 ("GPU memory", torch.cuda.mem_get_info(device)[0], lambda need: need.network)]
    for name, free, amount in rooms:
        most = max(memory, key=amount)
        found.append(verdict(name, amount(most), free, f"most of all to {most.what}", remedy))
    return found


def disk_needs(costs: Costs, sets: list[Faces]) -> list[Need]:
    """What the stages write below build, with DVC's copies."""
    suite, images = costs.suite, benchmark_images(sets)
    recognisers = sum(costs.recogniser_pass(slug).parameters for slug in suite["recognisers"])
    quality = [slug for section in ("trained", "distilled") for slug in suite.get(section) or {}]
    judges = costs.models() * sum(network.parameters for slug in quality for network, _ in costs.passes(slug))
    vectors = sum(embedding_size(suite["recognisers"][slug]) for slug in costs.compared())
    return [Need("faces", CACHED * CROP * (images + training_images(sets))),
            Need("embeddings", CACHED * 4 * images * vectors),
            Need("networks", CACHED * 4 * (recognisers + judges)),
            Need("scores", CACHED * ROW * images * len(costs.slugs()))]


def memory_needs(costs: Costs, sets: list[Faces]) -> list[Need]:
    """Memory of the stages that need much: their networks' part, and the rest."""
    suite, held = costs.suite, PROCESS + CROP * training_images(sets)
    whole = sum(faces.images for faces in sets) if suite["faces"]["source"] == "photographs" else 0
    needs = [Need("prepare faces", PROCESS + CROP * whole)]
    for slug, config in suite["recognisers"].items():
        network = costs.recogniser_pass(slug)
        needs.append(Need(f"embed with {slug}", PROCESS, running(network, suite["embed"].get("batch", 128))))
        if "checkpoint" not in config:
            needs.append(Need(f"train {slug}", held, learning(network, config.get("batch", 128))))
    diffusion = suite.get("diffusion") or {}
    if diffusion and "checkpoint" not in diffusion:
        needs.append(Need("train the diffusion model", held,
                          learning(costs.diffusion_pass(), diffusion.get("batch", 64))))
    for slug, config in (suite.get("trained") or {}).items():
        chosen = {**methods()[slug].training, **(config or {})}
        if "checkpoint" not in chosen:
            batch = chosen.get("batch") or chosen.get("people", 16) * chosen.get("each", 8)
            needed = running if frozen(slug, chosen) else learning
            needs.append(Need(f"train {slug}", held, needed(costs.one_pass(slug, chosen), batch)))
    return [*needs, Need("evaluate", evaluation_memory(costs, sets))]


def evaluation_memory(costs: Costs, sets: list[Faces]) -> float:
    """The largest benchmarks, measured side by side: pairs, similarities, weights of the resamples."""
    resamples, pair = costs.suite["evaluation"].get("resamples", 1000), PAIR + 8 * len(costs.compared())
    each = sorted(COPIES * 4 * faces.genuine * resamples + (faces.genuine + faces.impostor) * pair
                  for faces in sets)
    return PROCESS + sum(each[-PARALLEL:])


def embedding_size(config: dict) -> int:
    """D of a recogniser of the suite."""
    architecture = config.get("architecture")
    if architecture in ONNX_RECOGNISERS:
        return ONNX_RECOGNISERS[architecture]["embedding_size"]
    if architecture in CATALOGUE:
        return CATALOGUE[architecture].embedding_size
    return config.get("embedding", 512)


def gigabytes(amount: float) -> str:
    """Bytes in words: "0.4 GB", "37 GB"."""
    return f"{amount / 1e9:.1f} GB" if amount < 10e9 else f"{amount / 1e9:.0f} GB"


def running(network: Pass, batch: int) -> float:
    """Bytes of a network that scores or embeds in batches."""
    return 8 * network.parameters + max(CPU_BUDGET, batch * network.widest * WIDEST)


def learning(network: Pass, batch: int) -> float:
    """Bytes of a training step."""
    return LEARNT * network.parameters + batch * network.outputs * KEPT


def verdict(name: str, need: float, free: int, detail: str, remedy: str) -> Finding:
    """What is needed and free as a finding on this machine."""
    state, remedy = (PRESENT, "") if need <= free else (TOO_LITTLE, remedy)
    return Finding("this machine", name, state, f"needs {gigabytes(need)}, {gigabytes(free)} free; {detail}",
                   remedy=remedy)
