"""How long each stage of a suite takes on this machine: work that is counted, at rates that are measured."""
import os
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature

from fiqa_core.base.errors import FiqaError
from fiqa_core.doctor.machine import (ASSUMED, CERTAINTY, MEASURED, SCALED, TIMED, Machine, Pass,
                                      architecture_pass, diffusion_pass, method_pass, recogniser_pass)
from fiqa_core.doctor.needs import official
from fiqa_core.doctor.workload import Faces
from fiqa_core.evaluation.evaluate import PARALLEL
from fiqa_core.registry import methods, methods_of
from fiqa_core.weights.place import checkpoint_path

START = 5.0  # seconds until a stage's notebook runs
READ = 0.004  # seconds to decode and store an aligned crop
LINE = 0.001  # seconds per image of a method that looks at pixels alone; the fewest that matter
TRAINING = 3  # a training step costs a forward pass, and two for the gradients
# Seconds to compare a pair, and to weigh a genuine pair in one resample of one method: with these a simulated
# IJB-C takes the 6.3 minutes that it took.
COMPARE, WEIGH = 2.8e-6, 3e-8
REFERENCES = 2  # the oracle and chance are evaluated like methods
CHALLENGE = 60.0  # seconds of a notebook on one of the open challenges, at the demo's size
Cost = tuple[float, str]  # seconds per image, and how they are known


class Costs:
    """How many images a suite means, and what one costs each of its networks and methods on a machine.

    images    of all benchmarks; training: of the training set
    methods   what the suite says of each, in its order
    """

    def __init__(self, suite: dict, sets: list[Faces], machine: Machine):
        self.suite, self.sets, self.machine, self.methods = suite, sets, machine, methods_of(suite)
        self.images = sum(faces.images for faces in sets if faces.name != "training")
        self.training = sum(faces.images for faces in sets if faces.name == "training")
        protocols = suite["faces"].get("training") if suite["faces"]["source"] == "rendered" else ()
        self.learnt = self.training // max(len(protocols), 1)       # a method learns from the faces of one protocol

    def compared(self) -> list[str]:
        """The recognisers whose comparisons are measured."""
        return [slug for slug, config in self.suite["recognisers"].items() if config.get("compare", True)]

    def models(self) -> int:
        """How many cross-fitted models are trained: one per part of the benchmark."""
        faces = self.suite["faces"]
        return faces.get("parts", 2) if faces["source"] == "photographs" else 1

    def trained(self) -> dict[str, dict]:
        """The methods that are trained here, and the options of their training."""
        return {slug: {**methods()[slug].training, **options} for slug, options in self.methods.items()
                if "model" in methods()[slug].needs and "checkpoint" not in options}

    def recogniser_pass(self, slug: str | None = None) -> Pass:
        """The network of a recogniser of the suite; None: of the one that methods score with."""
        return recogniser_pass(self.suite["recognisers"][slug or self.suite["scoring"]["recogniser"]])

    def diffusion_pass(self) -> Pass:
        """The U-Net of the suite; the published one where it names none or a checkpoint."""
        return diffusion_pass(self.suite.get("diffusion") or {})

    def recogniser(self, slug: str | None = None) -> Cost:
        return self.machine.pass_seconds(self.recogniser_pass(slug))

    def method(self, slug: str, **changes) -> Cost:
        """Seconds per image of a method; `changes` override its options."""
        if not methods()[slug].needs:
            return LINE, ASSUMED
        return added((count, self.machine.pass_seconds(network))
                     for network, count in self.passes(slug, **changes))

    def passes(self, slug: str, **changes) -> list[tuple[Pass, float]]:
        """Networks that a method runs on an image, and how often each."""
        method, options = methods()[slug], {**self.methods.get(slug, {}), **changes}
        recogniser = self.recogniser_pass(options.get("recogniser"))
        network = {"recogniser": lambda: recogniser, "diffusion": self.diffusion_pass,
                   "model": lambda: self.model_pass(slug)}
        return [(network[need](), count)
                for need, count in zip(method.needs, method.cost(options, recogniser))]

    def model_pass(self, slug: str) -> Pass:
        """The network of a method with weights of its own: its official file's, its backbone's, or new."""
        method, options = methods()[slug], self.methods[slug]
        if "checkpoint" in options:
            model = official(checkpoint_path(options["checkpoint"]))
            return architecture_pass((model and model.architecture) or options.get("model", slug))
        if "backbone" in signature(method.build).parameters:
            return self.recogniser_pass(options.get("backbone") or options.get("recogniser"))
        return method_pass(method, {**method.training, **options})


def added(parts) -> Cost:
    """The sum of (times, cost), as certain as the least certain of the parts."""
    parts = [(times, cost) for times, cost in parts if times]
    return (sum(times * seconds for times, (seconds, _) in parts),
            max((basis for _, (_, basis) in parts), key=CERTAINTY.index, default=ASSUMED))


@dataclass(frozen=True)
class Estimate:
    """One line of the plan: stage, the work in words, seconds, and how they are known (CERTAINTY)."""

    stage: str
    work: str
    seconds: float
    basis: str


def estimate(stage: str, work: str, *parts: tuple[float, Cost]) -> Estimate:
    """The line of a stage that takes its notebook's start and the sum of `parts`, (times, cost) each."""
    seconds, basis = added(parts)
    return Estimate(stage, work, START + seconds, basis)


def estimates(costs: Costs, runtime: dict[str, float]) -> list[Estimate]:
    """The stages of a suite in their order.

    runtime  display name of a method -> seconds per image, as stage `time` measured it for this suite here
    """
    return [prepare(costs), *networks(costs), *scores(costs, runtime), *trained(costs), evaluation(costs),
            *ablations(costs), *figures(costs)]


def prepare(costs: Costs) -> Estimate:
    images, machine = costs.images + costs.training, costs.machine
    if costs.suite["faces"]["source"] == "rendered":
        return estimate("prepare", f"render {images:,} faces", (images, (machine.render, TIMED)))
    return estimate("prepare", f"read {images:,} pictures, find the faces where they are not aligned",
                    *((faces.images, reading(faces, machine)) for faces in costs.sets))


def reading(faces: Faces, machine: Machine) -> Cost:
    """Seconds per picture of a set. A detector that is not there yet is taken for as fast as MTCNN."""
    if not faces.detector:
        return READ, ASSUMED
    try:
        return machine.detect(faces.detector, faces.side), SCALED
    except FiqaError:
        return machine.detect("mtcnn", faces.side), ASSUMED


def networks(costs: Costs) -> Iterator[Estimate]:
    """Training of recognisers, embeddings, training of the diffusion model."""
    images = costs.training
    for slug, config in costs.suite["recognisers"].items():
        if not {"checkpoint", "shipped"} & {*config}:
            yield learning(f"recogniser {slug}", config.get("epochs", 12), images, costs.recogniser(slug))
    images, views = costs.images, 2 if costs.suite["embed"].get("flip", True) else 1
    yield estimate("embed", f"{images:,} faces x {views} views, {len(costs.compared())} recogniser(s)",
                   *((images * views, costs.recogniser(slug)) for slug in costs.compared()))
    config = costs.suite.get("diffusion") or {}
    if config and not {"checkpoint", "shipped"} & {*config}:
        steps, batch, count = config.get("steps", 100_000), config.get("batch", 64), costs.models()
        yield estimate("diffusion", f"train {count} x {steps:,} steps of {batch}",
                       (count * TRAINING * steps * batch, costs.machine.pass_seconds(costs.diffusion_pass())))


def learning(stage: str, epochs: int, images: int, cost: Cost) -> Estimate:
    return estimate(stage, f"{epochs} x {images:,} faces", (TRAINING * epochs * images, cost))


def scores(costs: Costs, runtime: dict) -> Iterator[Estimate]:
    """Scores of the benchmarks, then DifFIQA's of the training faces that distilled methods learn from."""
    suite = costs.suite
    for slug, options in costs.methods.items():
        images = costs.images
        if options.get("subset") and suite["faces"].get("subset"):
            images = min(images, 2 * suite["faces"]["subset"] * len(costs.sets))  # both sides of marked pairs
        yield estimate(f"score {slug}", f"{images:,} faces", (images, scoring(slug, costs, runtime)))
    if any(methods()[slug].section == "distilled" for slug in costs.trained()):
        protocols = {methods()[slug].protocol for slug in costs.trained() if methods()[slug].section == "distilled"}
        images = suite["labels"]["images"] * costs.models() * len(protocols)
        yield estimate("label", f"DifFIQA on {images:,} training faces",
                       (images, scoring("diffiqa", costs, runtime, **suite["labels"])))


def scoring(slug: str, costs: Costs, runtime: dict, **changes) -> Cost:
    """Seconds per image of a method: as stage `time` measured it, or by its passes.

    Stage `time` runs with the papers' repeats: where the suite has others, their share of it is taken.
    """
    seconds, basis = costs.method(slug, **changes)
    measured = runtime.get(methods()[slug].name)
    if measured is None:
        return seconds, basis
    return measured * seconds / costs.method(slug, **methods()[slug].paper)[0], MEASURED


def trained(costs: Costs) -> Iterator[Estimate]:
    """Distilled methods learn from the labelled faces, the others from all training faces."""
    for slug, options in costs.trained().items():
        stage, images = "train", costs.learnt
        if methods()[slug].section == "distilled":
            stage, images = "distil", costs.suite["labels"]["images"]
        looks, lessons, taught = methods()[slug].effort(options, images * costs.models())
        work = (f"learn from {lessons:,} faces, all epochs" if lessons else
                f"look at {looks:,} faces, fit a small head")
        yield estimate(f"{stage} {slug}", work, (looks + TRAINING * lessons, costs.method(slug)),
                       (TRAINING * taught, costs.recogniser()))


def evaluation(costs: Costs) -> Estimate:
    compared, judges = len(costs.compared()), len(costs.methods)
    resamples = costs.suite["evaluation"].get("resamples", 1000)
    genuine = sum(faces.genuine for faces in costs.sets)
    pairs = genuine + sum(faces.impostor for faces in costs.sets)
    share = compared / min(PARALLEL, os.cpu_count() or 1)
    work = f"{pairs:,} pairs x {judges} methods, {compared} recogniser(s), {resamples:,} resamples"
    return estimate("evaluate", work, (share * pairs, (COMPARE, ASSUMED)),
                    (share * genuine * (judges + REFERENCES) * resamples, (WEIGH, ASSUMED)))


def ablations(costs: Costs) -> Iterator[Estimate]:
    chosen = costs.suite.get("ablation") or {}
    images = chosen.get("images", 0) * len(chosen.get("benchmarks", ()))
    runs = {"faceqan": [{}] * (1 + len(chosen.get("epsilons", ()))),
            "diffiqa": [{}, *({"timestep": t} for t in chosen.get("timesteps", ()))]}
    found = [costs.method(slug, **changes) for slug, each in runs.items() if slug in costs.methods
             for changes in each]
    if images and found:
        yield estimate("ablate", f"{len(found)} settings on {images:,} faces",
                       *((images, cost) for cost in found))


def figures(costs: Costs) -> Iterator[Estimate]:
    """Every method with the papers' repeats on a few faces and one batch; then figures and the report."""
    chosen = costs.suite["timing"]
    images = chosen["images"] + chosen["warm_up"] + chosen["batch"]
    found = [costs.method(slug, **methods()[slug].paper) for slug in costs.methods]
    found += [costs.method("faceqan", repeats=k) for k in chosen["repeats"] if "faceqan" in costs.methods]
    yield estimate("time", f"{len(found)} settings on {images} faces", *((images, cost) for cost in found))
    drawn, challenges = (len(costs.suite.get(name) or ()) for name in ("artefacts", "challenge_notebooks"))
    yield Estimate("figures, report", f"{drawn + challenges} notebooks",
                   drawn * START + challenges * CHALLENGE, ASSUMED)
