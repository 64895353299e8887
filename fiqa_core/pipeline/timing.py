"""Stage `time`: milliseconds per image of every method on this machine."""
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.files import write_csv
from fiqa_core.base.images import to_batch
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.pipeline.outputs import load_sets
from fiqa_core.pipeline.score import pipeline_method, pipeline_methods
from fiqa_core.registry import methods


def time_faceqan() -> pd.DataFrame:
    """FaceQAN over the number of repeats k (FaceQAN, Table III); writes results/runtime/faceqan.csv.

    Empty for a suite without FaceQAN.
    """
    chosen = settings("timing")
    if "faceqan" not in pipeline_methods():
        return _write([], "faceqan")
    rows = [{"method": methods()["faceqan"].name, "repeats": k, **_time(pipeline_method("faceqan", repeats=k), chosen)}
            for k in progress(chosen["repeats"], "FaceQAN run time", unit="values of k")]
    return _write(rows, "faceqan")


def time_methods() -> pd.DataFrame:
    """Every method with the papers' numbers of repeats; writes results/runtime/methods.csv.

    parameters counts every network the method runs, in millions.
    """
    chosen, rows = settings("timing"), []
    for slug in progress(pipeline_methods(), "run time", unit="methods"):
        method = pipeline_method(slug, **methods()[slug].paper)
        rows.append({"method": methods()[slug].name, "parameters": parameters(method) / 1e6, **_time(method, chosen)})
    return _write(rows, "methods")


def parameters(method) -> int:
    """Number of parameters in all networks that a method holds."""
    networks = [part for part in vars(method).values() if isinstance(part, torch.nn.Module)]
    if isinstance(method, torch.nn.Module):
        networks = [method]
    return sum(p.numel() for network in networks for p in network.parameters())


def _time(method, chosen: dict) -> dict:
    """Median, mean and deviation in ms per image over single images, and per image of one full batch."""
    device = default_device()
    pixels = next(iter(load_sets().values())).pixels
    images = to_batch(np.asarray(pixels[: max(chosen["images"], chosen["batch"])]), device)
    for _ in range(chosen["warm_up"]):
        method(images[:1])
    single = [_milliseconds(method, images[i: i + 1]) for i in range(chosen["images"])]
    batch = _milliseconds(method, images[: chosen["batch"]]) / chosen["batch"]
    return {"images": len(single), "median_ms": float(np.median(single)), "mean_ms": float(np.mean(single)),
            "sd_ms": float(np.std(single)), "batch": chosen["batch"], "batch_ms": batch, "device": str(device),
            "processor": processor(device), "threads": torch.get_num_threads(), "torch": torch.__version__}


def _milliseconds(method, images: torch.Tensor) -> float:
    """Wall time of one call; on a GPU it waits for the result."""
    start = time.perf_counter()
    method(images).cpu()
    return 1000 * (time.perf_counter() - start)


def processor(device: torch.device) -> str:
    """Name of the GPU, or of the CPU model with its number of cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.processor() or platform.machine()


def _write(rows: list[dict], name: str) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    write_csv(table, project.results() / "runtime" / f"{name}.csv", decimals=4)
    return table
