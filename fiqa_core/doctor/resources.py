"""How much disk and memory a suite needs. Sizes of what is written are counted; memory is a rule of thumb."""
import torch

from fiqa_core.base.device import activation_budget
from fiqa_core.doctor.estimates import Costs
from fiqa_core.doctor.machine import Pass, free_disk, free_memory
from fiqa_core.doctor.needs import PRESENT, TOO_LITTLE, Finding
from fiqa_core.evaluation.evaluate import PARALLEL
from fiqa_core.loading import ONNX_RECOGNISERS
from fiqa_core.recognisers.zoo import CATALOGUE
from fiqa_core.registry import methods
from fiqa_core.weights.shipped import config_of

CROP = 112 * 112 * 3
CACHED = 2  # DVC keeps a second copy of what stages write, unless the file system can share it
ROW = 60  # bytes of a line of scores
PROCESS = 0.7e9  # Python with torch and pandas
LEARNT = 16  # bytes per parameter that learns: weight, gradient, two moments
WIDEST, KEPT = 3, 2  # of a layer: input, output and work; of a training step: all outputs and their gradients
PAIR = 32  # bytes of a comparison in memory, and 8 more per recogniser
COPIES = 3  # of the weights (genuine pairs x resamples) that intervals hold at once


def resource_findings(costs: Costs) -> list[Finding]:
    """Disk and memory: what is needed, what is free, and whether that suffices."""
    disk, memory, device = disk_needs(costs), memory_needs(costs), costs.machine.device
    parts = ", ".join(f"{what} {gigabytes(amount)}" for what, amount in disk.items())
    found = [verdict("disk", sum(disk.values()), free_disk(), f"with DVC's copies: {parts}",
                     "make room, or put the project on a larger disk")]
    rooms = [("memory", free_memory(), sum)]
    if device.type == "cuda":
        rooms = [("memory", free_memory(), lambda need: need[0]),
                 ("GPU memory", torch.cuda.mem_get_info(device)[0], lambda need: need[1])]
    remedy = "close other programs, lower embed.batch or evaluation.resamples, or leave a benchmark out"
    for name, free, part in rooms:
        most = max(memory, key=lambda what: part(memory[what]))
        found.append(verdict(name, part(memory[most]), free, f"most of all to {most}", remedy))
    return found


def disk_needs(costs: Costs) -> dict[str, float]:
    """Bytes of what the stages write below build, with DVC's copies."""
    recognisers, images = costs.suite["recognisers"], costs.images
    networks = [costs.recogniser_pass(slug) for slug in recognisers] + costs.models() * [
        costs.model_pass(slug) for slug in costs.methods if "model" in methods()[slug].needs]
    written = {"faces": CROP * (images + costs.training),
               "embeddings": 4 * images * sum(embedding_size(recognisers[slug]) for slug in costs.compared()),
               "networks": 4 * sum(network.parameters for network in networks),
               "scores": ROW * images * len(costs.methods)}
    return {what: CACHED * amount for what, amount in written.items()}


def memory_needs(costs: Costs) -> dict[str, tuple[float, float]]:
    """Bytes of the stages that need much: main memory, and the networks' part, on a GPU if there is one."""
    suite, diffusion = costs.suite, costs.suite.get("diffusion") or {}
    held, batch = PROCESS + CROP * costs.training, suite["embed"].get("batch", 128)
    source, learnt = suite["faces"]["source"], suite["faces"].get("training")
    whole = {"photographs": costs.images + costs.training,          # rendered: training faces alone, while they are joined
             "rendered": costs.training * min(len(learnt or ()), 2)}.get(source, 0)
    needs = {"prepare faces": (PROCESS + CROP * whole, 0), "evaluate": (evaluation_memory(costs), 0)}
    for slug, config in suite["recognisers"].items():
        network = costs.recogniser_pass(slug)
        needs[f"embed with {slug}"] = PROCESS, running(network, batch)
        if not {"checkpoint", "shipped"} & {*config}:
            needs[f"train recogniser {slug}"] = held, learning(network, config.get("batch", 128))
    if diffusion and not {"checkpoint", "shipped"} & {*diffusion}:
        network, batch = costs.diffusion_pass(), diffusion.get("batch", 64)
        needs["train the diffusion model"] = held, learning(network, batch)
    for slug, options in costs.trained().items():
        size = options.get("batch") or options.get("people", 16) * options.get("each", 8)
        needed = learning if methods()[slug].effort(options, 1)[1] else running
        needs[f"train {slug}"] = held, needed(costs.model_pass(slug), size)
    return needs


def evaluation_memory(costs: Costs) -> float:
    """The largest benchmarks, measured side by side: pairs, similarities, weights of the resamples."""
    resamples, pair = costs.suite["evaluation"].get("resamples", 1000), PAIR + 8 * len(costs.compared())
    each = sorted(COPIES * 4 * faces.genuine * resamples + (faces.genuine + faces.impostor) * pair
                  for faces in costs.sets)
    return PROCESS + sum(each[-PARALLEL:])


def embedding_size(config: dict) -> int:
    """D of a recogniser of the suite."""
    config = config_of(config["shipped"]) if "shipped" in config else config
    architecture = config.get("architecture")
    if architecture in ONNX_RECOGNISERS:
        return ONNX_RECOGNISERS[architecture]["embedding_size"]
    if architecture in CATALOGUE:
        return CATALOGUE[architecture].embedding_size
    return config.get("embedding", 512)


def running(network: Pass, batch: int) -> float:
    """Bytes of a network that scores or embeds in batches."""
    return 8 * network.parameters + max(activation_budget(torch.device("cpu")), batch * network.widest * WIDEST)


def learning(network: Pass, batch: int) -> float:
    """Bytes of a training step."""
    return LEARNT * network.parameters + batch * network.outputs * KEPT


def gigabytes(amount: float) -> str:
    """Bytes in words: "0.4 GB", "37 GB"."""
    return f"{amount / 1e9:.1f} GB" if amount < 10e9 else f"{amount / 1e9:.0f} GB"


def verdict(name: str, need: float, free: int, detail: str, remedy: str) -> Finding:
    """What is needed and free as a finding on this machine."""
    state, remedy = (PRESENT, "") if need <= free else (TOO_LITTLE, remedy)
    return Finding("this machine", name, state, f"needs {gigabytes(need)}, {gigabytes(free)} free; {detail}",
                   remedy=remedy)
