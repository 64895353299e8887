"""How long each stage of a suite takes on this machine: work that is counted, at rates that are measured."""
import os
from collections.abc import Iterator
from dataclasses import dataclass

from fiqa_core.base.errors import FiqaError
from fiqa_core.doctor.machine import (
    ASSUMED,
    CERTAINTY,
    MEASURED,
    REFERENCES,
    SCALED,
    TIMED,
    Machine,
    Pass,
    architecture_pass,
    diffusion_pass,
    recogniser_pass,
    restorer_pass,
)
from fiqa_core.doctor.needs import official
from fiqa_core.doctor.workload import Faces
from fiqa_core.evaluation.evaluate import PARALLEL
from fiqa_core.loading import release_name
from fiqa_core.registry import methods, methods_of
from fiqa_core.weights.place import checkpoint_path

START = 5.0  # seconds until a stage's notebook runs
READ = 0.004  # seconds to decode and store an aligned crop
LINE = 0.001  # seconds per image of a reference line; the fewest that matter
TRAINING = 3  # a training step costs a forward pass, and two for the gradients
CHALLENGE = 60.0  # seconds of a notebook on one of the open challenges, at the demo's size
# Methods whose official network is not built under a name of its own, and one of much the same size.
ALIKE = {"sdd_fiqa": "curricularface_ir50", "faceqnet": "iresnet50"}
Cost = tuple[float, str]  # seconds per image, and how they are known


class Costs:
    """What an image costs each network and method of one suite on one machine."""

    def __init__(self, suite: dict, machine: Machine):
        self.suite, self.machine = suite, machine

    def slugs(self) -> list[str]:
        """The methods that score the benchmarks, in the suite's order."""
        return list(methods_of(self.suite))

    def options(self, slug: str) -> dict:
        """What the suite says about a method, whichever section it stands in."""
        return methods_of(self.suite).get(slug, {})

    def compared(self) -> list[str]:
        """The recognisers whose comparisons are measured."""
        return [slug for slug, config in self.suite["recognisers"].items() if config.get("compare", True)]

    def models(self) -> int:
        """How many cross-fitted models are trained: one per part of the benchmark."""
        faces = self.suite["faces"]
        return faces.get("parts", 2) if faces["source"] == "photographs" else 1

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

    def learner(self, slug: str) -> Cost:
        """Seconds of a forward pass of what is trained for a method: LightQNet learns beside a teacher."""
        return added([(1, self.method(slug)), (slug == "lightqnet", self.recogniser())])

    def passes(self, slug: str, **changes) -> Iterator[tuple[Pass, float]]:
        """Networks that a method runs on an image, and how often each."""
        options = {**self.options(slug), **changes}
        recogniser = self.recogniser_pass(options.get("recogniser"))
        for need, count in zip(methods()[slug].needs, methods()[slug].cost(options, recogniser)):
            yield {"recogniser": lambda: recogniser, "diffusion": self.diffusion_pass,
                   "model": lambda: self.one_pass(slug, options)}[need](), count

    def one_pass(self, slug: str, options: dict) -> Pass:
        """The network of a method that scores in one pass: its official file's, or its backbone's."""
        if "backbone" not in options and "checkpoint" in options:
            return architecture_pass(architecture_of(slug, options))
        if slug == "faceqgen":
            return restorer_pass(options)
        if slug == "lightqnet":
            return architecture_pass(f"lightqnet_{options.get('width', 'dm100')}")
        return self.recogniser_pass(options.get("backbone") or options.get("recogniser"))


def architecture_of(slug: str, options: dict) -> str:
    """Name of the network of a method's official file."""
    model = official(checkpoint_path(options["checkpoint"]))
    named = (model and model.architecture) or options.get("model", slug)
    return ALIKE.get(slug) or release_name(named)


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


def estimates(costs: Costs, sets: list[Faces], runtime: dict[str, float]) -> list[Estimate]:
    """The stages of a suite in their order.

    runtime  display name of a method -> seconds per image, as stage `time` measured it for this suite here
    """
    return [prepare(costs, sets), *networks(costs, sets), *scores(costs, sets, runtime),
            *trained(costs, sets), evaluation(costs, sets), *ablations(costs), *figures(costs)]


def benchmark_images(sets: list[Faces]) -> int:
    return sum(faces.images for faces in sets if faces.name != "training")


def training_images(sets: list[Faces]) -> int:
    return sum(faces.images for faces in sets if faces.name == "training")


def prepare(costs: Costs, sets: list[Faces]) -> Estimate:
    images, machine = sum(faces.images for faces in sets), costs.machine
    if costs.suite["faces"]["source"] == "rendered":
        return estimate("prepare", f"render {images:,} faces", (images, (machine.render, TIMED)))
    return estimate("prepare", f"read {images:,} pictures, find the faces where they are not aligned",
                    *((faces.images, reading(faces, machine)) for faces in sets))


def reading(faces: Faces, machine: Machine) -> Cost:
    """Seconds per picture of a set. A detector that is not there yet is taken for as fast as MTCNN."""
    if not faces.detector:
        return READ, ASSUMED
    try:
        return machine.detect(faces.detector, faces.side), SCALED
    except FiqaError:
        return machine.detect("mtcnn", faces.side), ASSUMED


def networks(costs: Costs, sets: list[Faces]) -> Iterator[Estimate]:
    """Training of recognisers, embeddings, training of the diffusion model."""
    images = training_images(sets)
    for slug, config in costs.suite["recognisers"].items():
        if "checkpoint" not in config:
            yield learning(f"recogniser {slug}", config.get("epochs", 12), images, costs.recogniser(slug))
    images, views = benchmark_images(sets), 2 if costs.suite["embed"].get("flip", True) else 1
    yield estimate("embed", f"{images:,} faces x {views} views, {len(costs.compared())} recogniser(s)",
                   *((images * views, costs.recogniser(slug)) for slug in costs.compared()))
    config = costs.suite.get("diffusion") or {}
    if config and "checkpoint" not in config:
        steps, batch, count = config.get("steps", 100_000), config.get("batch", 64), costs.models()
        yield estimate("diffusion", f"train {count} x {steps:,} steps of {batch}",
                       (count * TRAINING * steps * batch, costs.machine.pass_seconds(costs.diffusion_pass())))


def learning(stage: str, epochs: int, images: int, cost: Cost) -> Estimate:
    return estimate(stage, f"{epochs} x {images:,} faces", (TRAINING * epochs * images, cost))


def scores(costs: Costs, sets: list[Faces], runtime: dict) -> Iterator[Estimate]:
    """Scores of the benchmarks, then DifFIQA's of the training faces that distilled methods learn from."""
    suite = costs.suite
    for slug in costs.slugs():
        images = benchmark_images(sets)
        if costs.options(slug).get("subset") and suite["faces"].get("subset"):
            images = min(images, 2 * suite["faces"]["subset"] * len(sets))  # both sides of the marked pairs
        yield estimate(f"score {slug}", f"{images:,} faces", (images, scoring(slug, costs, runtime)))
    if any("checkpoint" not in config for config in suite["distilled"].values()):
        images = suite["labels"]["images"] * costs.models()
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


def trained(costs: Costs, sets: list[Faces]) -> Iterator[Estimate]:
    """Distilled methods learn from the labelled faces, the others from all training faces."""
    suite = costs.suite
    for slug, config in suite["distilled"].items():
        if "checkpoint" not in config:
            images = suite["labels"]["images"] * costs.models()
            yield learning(f"distil {slug}", config.get("epochs", 3), images, costs.method(slug))
    for slug, config in (suite.get("trained") or {}).items():
        chosen = {**methods()[slug].training, **(config or {})}
        if "checkpoint" in chosen:
            continue
        stage, images, cost = f"train {slug}", training_images(sets) * costs.models(), costs.learner(slug)
        if "steps" in chosen:
            yield learning(stage, 1, chosen["steps"] * chosen["batch"], cost)
        elif "draws" in chosen:
            looks = chosen["images"] * (chosen["draws"] + 1)  # labels from perturbed copies
            yield estimate(stage, f"{looks:,} looks", (looks, cost))
        elif frozen(slug, chosen):
            yield estimate(stage, f"features of 2 x {images:,} faces, then a small head", (2 * images, cost))
        else:
            yield learning(stage, chosen["epochs"], images, cost)


def frozen(slug: str, chosen: dict) -> bool:
    """True for a method that learns on features which are computed once, of faces and mirror images."""
    return slug in ("pfe", "froq") or chosen.get("trained_tensors") == 0


def evaluation(costs: Costs, sets: list[Faces]) -> Estimate:
    compared, methods = len(costs.compared()), len(costs.slugs())
    resamples = costs.suite["evaluation"].get("resamples", 1000)
    genuine, impostor = (sum(getattr(faces, kind) for faces in sets) for kind in ("genuine", "impostor"))
    per_pair, per_resample = costs.machine.evaluation
    share = compared / min(PARALLEL, os.cpu_count() or 1)
    work = (f"{genuine + impostor:,} pairs x {methods} methods, {compared} recogniser(s), "
            f"{resamples:,} resamples")
    return estimate("evaluate", work, (share * (genuine + impostor), (per_pair, SCALED)),
                    (share * genuine * (methods + REFERENCES) * resamples, (per_resample, SCALED)))


def ablations(costs: Costs) -> Iterator[Estimate]:
    chosen = costs.suite.get("ablation") or {}
    images = chosen.get("images", 0) * len(chosen.get("benchmarks", ()))
    runs = {"faceqan": [{}] * (1 + len(chosen.get("epsilons", ()))),
            "diffiqa": [{}, *({"timestep": t} for t in chosen.get("timesteps", ()))]}
    found = [costs.method(slug, **changes) for slug, each in runs.items() if slug in costs.slugs()
             for changes in each]
    if images and found:
        yield estimate("ablate", f"{len(found)} settings on {images:,} faces",
                       *((images, cost) for cost in found))


def figures(costs: Costs) -> Iterator[Estimate]:
    """Every method with the papers' repeats on a few faces and one batch; then figures and the report."""
    chosen, slugs = costs.suite["timing"], costs.slugs()
    images = chosen["images"] + chosen["warm_up"] + chosen["batch"]
    found = [costs.method(slug, **methods()[slug].paper) for slug in slugs]
    found += [costs.method("faceqan", repeats=k) for k in chosen["repeats"] if "faceqan" in slugs]
    yield estimate("time", f"{len(found)} settings on {images} faces", *((images, cost) for cost in found))
    drawn, challenges = (len(costs.suite.get(name) or ()) for name in ("artefacts", "challenge_notebooks"))
    yield Estimate("figures, report", f"{drawn + challenges} notebooks",
                   drawn * START + challenges * CHALLENGE, ASSUMED)
