"""How long each stage of a suite takes on this machine: work that is counted, at rates that are measured."""
import os
from collections.abc import Iterator
from dataclasses import dataclass

from fiqa_core.base.errors import FiqaError
from fiqa_core.doctor.costs import Costs
from fiqa_core.doctor.machine import ASSUMED, CERTAINTY, MEASURED, REFERENCES, SCALED, TIMED, Machine
from fiqa_core.doctor.workload import Faces
from fiqa_core.evaluation.evaluate import PARALLEL
from fiqa_core.pipeline.suites import TRAINED
from fiqa_core.pipeline.timing import PUBLISHED
from fiqa_core.reporting.names import METHODS

START = 5.0  # seconds until a stage's notebook runs
READ = 0.004  # seconds to decode and store an aligned crop
TRAINING = 3  # a training step costs a forward pass, and two for the gradients
CHALLENGE = 60.0  # seconds of a notebook on one of the open challenges, at the demo's size


@dataclass(frozen=True)
class Estimate:
    """One line of the plan: stage, the work in words, seconds, and how they are known (CERTAINTY)."""

    stage: str
    work: str
    seconds: float
    basis: str


def estimates(suite: dict, sets: list[Faces], machine: Machine, runtime: dict[str, float]) -> list[Estimate]:
    """The stages of a suite in their order.

    runtime  display name of a method -> seconds per image, as stage `time` measured it for this suite here
    """
    costs = Costs(suite, machine)
    parts = (
        _prepare(suite, sets, machine),
        _recognisers(suite, sets, costs),
        _embed(suite, sets, costs),
        _diffusion(suite, sets, costs),
        _scores(suite, sets, costs, runtime),
        _labels(suite, costs, runtime),
        _trained(suite, sets, costs),
        _evaluate(suite, sets, machine),
        _ablations(suite, costs),
        _timing(suite, costs),
    )
    return [estimate for part in parts for estimate in part]


def benchmark_images(sets: list[Faces]) -> int:
    return sum(faces.images for faces in sets if faces.name != "training")


def training_images(sets: list[Faces]) -> int:
    return sum(faces.images for faces in sets if faces.name == "training")


def models(suite: dict) -> int:
    """How many cross-fitted models are trained: one per part of the benchmark."""
    faces = suite["faces"]
    return faces.get("parts", 2) if faces["source"] == "photographs" else 1


def _prepare(suite: dict, sets: list[Faces], machine: Machine) -> Iterator[Estimate]:
    images = sum(faces.images for faces in sets)
    if suite["faces"]["source"] == "rendered":
        yield Estimate("prepare", f"render {images:,} faces", START + images * machine.render, TIMED)
        return
    found = [_reading(faces, machine) for faces in sets]
    yield Estimate("prepare", f"read {images:,} pictures, find the faces where they are not aligned",
                   START + sum(faces.images * seconds for faces, (seconds, _) in zip(sets, found)),
                   _least(found))


def _reading(faces: Faces, machine: Machine) -> tuple[float, str]:
    """Seconds per picture of a set. A detector that is not there yet is taken for as fast as MTCNN."""
    if not faces.detector:
        return READ, ASSUMED
    try:
        return machine.detect(faces.detector, faces.side), SCALED
    except FiqaError:
        return machine.detect("mtcnn", faces.side), ASSUMED


def _recognisers(suite: dict, sets: list[Faces], costs: Costs) -> Iterator[Estimate]:
    images = training_images(sets)
    for slug, config in suite["recognisers"].items():
        if "checkpoint" not in config:
            epochs = config.get("epochs", 12)
            seconds, basis = costs.recogniser(slug)
            yield Estimate(f"recogniser {slug}", f"{epochs} x {images:,} faces",
                           START + TRAINING * epochs * images * seconds, basis)


def _embed(suite: dict, sets: list[Faces], costs: Costs) -> Iterator[Estimate]:
    images, views = benchmark_images(sets), 2 if suite["embed"].get("flip", True) else 1
    compared = [slug for slug, config in suite["recognisers"].items() if config.get("compare", True)]
    found = [costs.recogniser(slug) for slug in compared]
    yield Estimate("embed", f"{images:,} faces x {views} views, {len(compared)} recogniser(s)",
                   START + images * views * sum(seconds for seconds, _ in found), _least(found))


def _diffusion(suite: dict, sets: list[Faces], costs: Costs) -> Iterator[Estimate]:
    config = suite.get("diffusion") or {}
    if config and "checkpoint" not in config:
        seconds, basis = costs.diffusion()
        steps, batch, count = config.get("steps", 100_000), config.get("batch", 64), models(suite)
        yield Estimate("diffusion", f"train {count} x {steps:,} steps of {batch}",
                       START + count * TRAINING * steps * batch * seconds, basis)


def _scores(suite: dict, sets: list[Faces], costs: Costs, runtime: dict) -> Iterator[Estimate]:
    for slug in costs.slugs():
        seconds, basis = _per_image(slug, costs, runtime)
        images = benchmark_images(sets)
        if costs.options(slug).get("subset") and suite["faces"].get("subset"):
            images = min(images, 2 * suite["faces"]["subset"] * len(sets))  # both sides of the marked pairs
        yield Estimate(f"score {slug}", f"{images:,} faces", START + images * seconds, basis)


def _labels(suite: dict, costs: Costs, runtime: dict) -> Iterator[Estimate]:
    distilled = [config for config in suite["distilled"].values() if "checkpoint" not in config]
    if distilled:
        seconds, basis = _per_image("diffiqa", costs, runtime, **suite["labels"])
        images = suite["labels"]["images"] * models(suite)
        yield Estimate("label", f"DifFIQA on {images:,} training faces", START + images * seconds, basis)


def _trained(suite: dict, sets: list[Faces], costs: Costs) -> Iterator[Estimate]:
    """Distilled methods learn from the labelled faces, the others from all training faces."""
    for slug, config in suite["distilled"].items():
        if "checkpoint" not in config:
            yield _training(f"distil {slug}", config.get("epochs", 3),
                            suite["labels"]["images"] * models(suite), costs.method(slug))
    for slug, config in (suite.get("baselines") or {}).items():
        chosen = {**TRAINED[slug], **(config or {})}
        if "checkpoint" in chosen:
            continue
        images, cost = training_images(sets) * models(suite), costs.learner(slug)
        if slug == "faceqgen":
            yield _training(f"train {slug}", 1, chosen["steps"] * chosen["batch"], cost)
        elif slug == "froq":
            looks = chosen["images"] * (chosen["draws"] + 1)  # labels from perturbed copies
            yield Estimate(f"train {slug}", f"{looks:,} looks", START + looks * cost[0], cost[1])
        elif frozen(slug, chosen):
            yield Estimate(f"train {slug}", f"features of 2 x {images:,} faces, then a small head",
                           START + 2 * images * cost[0], cost[1])
        else:
            yield _training(f"train {slug}", chosen["epochs"], images, cost)


def frozen(slug: str, chosen: dict) -> bool:
    """True for a method that learns on features which are computed once, of faces and mirror images."""
    return slug in ("pfe", "froq") or chosen.get("trained_tensors") == 0


def _training(stage: str, epochs: int, images: int, cost: tuple[float, str]) -> Estimate:
    seconds, basis = cost
    return Estimate(stage, f"{epochs} x {images:,} faces", START + TRAINING * epochs * images * seconds,
                    basis)


def _evaluate(suite: dict, sets: list[Faces], machine: Machine) -> Iterator[Estimate]:
    compared = sum(config.get("compare", True) for config in suite["recognisers"].values())
    methods, resamples = len(Costs(suite, machine).slugs()), suite["evaluation"].get("resamples", 1000)
    genuine, impostor = (sum(getattr(faces, kind) for faces in sets) for kind in ("genuine", "impostor"))
    per_pair, per_resample = machine.evaluation
    seconds = compared * (
        (genuine + impostor) * per_pair + genuine * (methods + REFERENCES) * resamples * per_resample
    )
    yield Estimate(
        "evaluate",
        f"{genuine + impostor:,} pairs x {methods} methods, {compared} recogniser(s), "
        f"{resamples:,} resamples",
        START + seconds / min(PARALLEL, os.cpu_count() or 1),
        SCALED,
    )


def _ablations(suite: dict, costs: Costs) -> Iterator[Estimate]:
    chosen = suite.get("ablation") or {}
    images = chosen.get("images", 0) * len(chosen.get("benchmarks", ()))
    if not images:
        return
    runs = {"faceqan": [{}] * (1 + len(chosen["epsilons"])),
            "diffiqa": [{}, *({"timestep": t} for t in chosen["timesteps"])]}
    found = [costs.method(slug, **changes) for slug, each in runs.items() if slug in suite["methods"]
             for changes in each]
    if found:
        yield Estimate("ablate", f"{len(found)} settings on {images:,} faces",
                       START + images * sum(seconds for seconds, _ in found), _least(found))


def _timing(suite: dict, costs: Costs) -> Iterator[Estimate]:
    """Every method with the papers' repeats on a few faces and one batch; then figures and the report."""
    chosen, slugs = suite["timing"], costs.slugs()
    images = chosen["images"] + chosen["warm_up"] + chosen["batch"]
    found = [costs.method(slug, **PUBLISHED.get(slug, {})) for slug in slugs]
    if "faceqan" in slugs:
        found += [costs.method("faceqan", repeats=k) for k in chosen["repeats"]]
    yield Estimate("time", f"{len(found)} settings on {images} faces",
                   START + images * sum(seconds for seconds, _ in found), _least(found))
    drawn, challenges = (len(suite.get(section) or ()) for section in ("artefacts", "challenge_notebooks"))
    yield Estimate("figures, report", f"{drawn + challenges} notebooks",
                   drawn * START + challenges * CHALLENGE, ASSUMED)


def _per_image(slug: str, costs: Costs, runtime: dict, **changes) -> tuple[float, str]:
    """Seconds per image of a method: as stage `time` measured it, or by its passes.

    Stage `time` runs with the papers' repeats: where the suite has others, their share of it is taken.
    """
    seconds, basis = costs.method(slug, **changes)
    measured = runtime.get(METHODS.get(slug))
    if measured is None:
        return seconds, basis
    return measured * seconds / costs.method(slug, **PUBLISHED.get(slug, {}))[0], MEASURED


def _least(found: list[tuple[float, str]]) -> str:
    return max((basis for _, basis in found), key=CERTAINTY.index, default=ASSUMED)
