"""Which trained networks there are to explore with, where each comes from, and what is missing to have more.

Origins: `run`, what the active suite trained; `shipped`, what the package brings; `file`, the user's official
checkpoints, by the names of the catalogue. A method that works on a recogniser uses the chosen one; MagFace
its own, of the same origin or shipped.
"""
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from textwrap import shorten

import numpy as np

from fiqa_core import loading
from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import digest
from fiqa_core.base.images import to_batch
from fiqa_core.base.method import Method
from fiqa_core.base.project import settings
from fiqa_core.pipeline.score import PLACE
from fiqa_core.registry import find_method, home, methods, methods_of
from fiqa_core.reporting.names import METHODS, order_methods
from fiqa_core.weights.catalogue import models
from fiqa_core.weights.presence import path_of, state_of
from fiqa_core.weights.shipped import find_shipped, shipped

RUN, SHIPPED, FILE = "run", "shipped", "file"
RENDERED, UNSTATED = "rendered faces", "faces that its authors do not state"
TRAIN = "run `make repro`, which trains it"
SLOW = ("faceqan", "diffiqa")           # tens of milliseconds a face: they wait for a pause


@dataclass(frozen=True)
class Choice:
    """A recogniser that can be chosen: `key` is "origin:slug", `architecture` that of an official file."""

    key: str
    name: str
    trained_on: str
    path: Path
    architecture: str = ""

    @property
    def origin(self) -> str:
        return self.key.partition(":")[0]

    @property
    def slug(self) -> str:
        return self.key.partition(":")[2]


@dataclass(frozen=True)
class Scorer:
    """A quality method ready to score: pixels (N, 112, 112, 3) uint8 -> (N,) float32, higher is better.

    on      key of the recogniser it works on; "" where it uses none, or one of its own
    digest  differs where code, options or weights do
    """

    slug: str
    name: str
    method: Callable = field(repr=False)
    trained_on: str = ""
    on: str = ""
    digest: str = ""

    @property
    def slow(self) -> bool:
        """Whether it waits for a pause."""
        return self.slug in SLOW

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return self.method(to_batch(pixels, default_device())).detach().cpu().numpy()


@cache
def suite() -> dict:
    """The active suite, read once: that takes longer than a score."""
    return settings()


def built(*parts: str) -> Path:
    """A file that the active suite's run made."""
    return project.root().joinpath("build", suite()["suite"], *parts)


@cache
def recognisers() -> dict[str, Choice]:
    """Every recogniser that is here, by key: of the run, shipped, the user's files. Looked for once."""
    found = [*_of_run(), *_shipped(), *_of_files()]
    return {choice.key: choice for choice in found}


def _of_run() -> list[Choice]:
    names = suite()["recognisers"]
    slugs = sorted(names, key=lambda slug: slug != usual())
    paths = {slug: built("recognisers", f"{slug}.pt") for slug in slugs}
    return [Choice(f"{RUN}:{slug}", f"{names[slug].get('name', slug)} of suite {suite()['suite']}",
                   _suite_faces(names[slug]), path) for slug, path in paths.items() if path.is_file()]


def usual() -> str:
    """Slug of the recogniser that methods work with where a suite says nothing else."""
    return suite()["scoring"]["recogniser"]


def _suite_faces(config: dict) -> str:
    """What a network of the suite was trained on, as far as the suite knows."""
    if "checkpoint" in config:
        return f"what the authors of {Path(config['checkpoint']).name} used"
    return RENDERED if suite()["faces"]["source"] == "rendered" else "the suite's training faces"


def _shipped() -> list[Choice]:
    names = {slug: config.get("name", slug) for slug, config in suite()["recognisers"].items()}
    found = sorted((network for network in shipped().values() if network.kind == "recogniser"),
                   key=lambda network: (network.name != usual(), network.name != "cosface"))
    return [Choice(f"{SHIPPED}:{network.name}", f"{names.get(network.name, network.name)}, shipped",
                   f"{network.images} {RENDERED}, of {network.people} people", network.path)
            for network in found]


def _of_files() -> list[Choice]:
    return [Choice(f"{FILE}:{model.slug}", model.slug, model.trained_on or UNSTATED,
                   path_of(model), model.architecture) for model in _files("recogniser")]


def _files(kind: str) -> list:
    """The user's official checkpoints of a kind that the workbook has networks for."""
    return [model for model in models().values() if model.kind == kind and model.architecture
            and state_of(model) in ("valid", "unchecked")]


class Kit:
    """One recogniser and every method that can score with it or beside it.

    choice      None where there is no recogniser: pixel measures work
    scorers     slug -> Scorer, in the papers' order
    missing     why, and what to do -> names of the methods that are not here for that reason
    """

    def __init__(self, choice: Choice | None):
        self.choice = choice
        self.scorers, self.missing = {}, {}
        names = {method.name: slug for slug, method in methods().items()}
        for slug in [names[name] for name in order_methods(names)]:
            self._add(slug, lambda slug=slug: self._scorer(methods()[slug]))
        for model in _files("quality"):
            self._add(model.slug, lambda model=model: self._official(model))

    def _add(self, slug: str, make: Callable[[], Scorer]) -> None:
        try:
            self.scorers[slug] = make()
        except FiqaError as error:
            self.missing.setdefault(f"{shorten(error.problem, 160)}; {error.remedy}.",
                                    []).append(METHODS.get(slug, slug))

    @cached_property
    def recogniser(self):
        """The chosen recogniser on the default device. Raises FiqaError where there is none."""
        if self.choice is None:
            raise FiqaError("there is no trained recogniser", TRAIN)
        return load_choice(self.choice)

    @property
    def flip(self) -> bool:
        """Whether embeddings are of face and mirrored face together, as the suite has it."""
        return suite()["embed"]["flip"]

    @cached_property
    def recogniser_digest(self) -> str:
        """Digest of the recogniser's file; "" where there is none."""
        return network_digest(self.choice.path) if self.choice else ""

    @cached_property
    def diffusion(self):
        """The diffusion model of the same origin, else any. Raises FiqaError where there is none."""
        return loading.load_diffusion(self.diffusion_path).to(default_device())

    @cached_property
    def diffusion_path(self) -> Path:
        places = {RUN: built("diffusion", "0.pt"), SHIPPED: find_shipped("diffusion").path
                  if "diffusion" in shipped() else None,
                  FILE: next((path_of(model) for model in _files("diffusion")), None)}
        origin = self.choice.origin if self.choice else RUN
        found = [path for path in (places.pop(origin), *places.values()) if path and path.is_file()]
        if not found:
            raise FiqaError("there is no trained diffusion model", TRAIN)
        return found[0]

    def options(self, slug: str) -> dict:
        """What the active suite says about a method, but for the recogniser that it names."""
        entry = methods_of(suite()).get(slug, {})
        return {name: value for name, value in entry.items() if name not in PLACE}

    def _scorer(self, method: Method) -> Scorer:
        slug, needs = method.slug, method.needs
        if "model" in needs:
            return self._trained(method)
        choice = self._own(slug) if "recogniser" in needs else None
        parts = [choice.path] if choice else []
        parts += [self.diffusion_path] if "diffusion" in needs else []
        options = self.options(slug)
        networks = (self.diffusion if need == "diffusion" else load_choice(choice) for need in needs)
        trained_on, key = (choice.trained_on, choice.key) if choice else ("", "")
        return Scorer(slug, method.name, method.build(*networks, **options), trained_on, key,
                      mark(slug, options, parts))

    def _own(self, slug: str) -> Choice:
        """The recogniser that a method works on: the chosen one, or that which the suite gives it."""
        self.recogniser
        named = methods_of(suite()).get(slug, {}).get("recogniser", usual())
        if named == usual() or self.choice.slug.startswith(named):
            return self.choice
        found = recognisers().get(f"{self.choice.origin}:{named}") or recognisers().get(f"{SHIPPED}:{named}")
        if found is None:
            raise FiqaError(f"it works on a recogniser of its own, {named}, which is not here",
                            "choose that one as recogniser, or run `make repro`")
        return found

    def _trained(self, method: Method) -> Scorer:
        entry = methods_of(suite()).get(method.slug)
        if entry is None:
            raise FiqaError("the active suite does not train it",
                            "add its official file (python -m fiqa_core weights list)")
        path = built("quality", method.slug, "0.pt")
        if not path.is_file():
            raise FiqaError("it is not trained yet", "run `make repro`")
        network = loading.load_quality(entry.get("model", method.slug), path).to(default_device())
        return Scorer(method.slug, method.name, network, _suite_faces(entry), "",
                      mark(method.slug, {}, [path]))

    def _official(self, model) -> Scorer:
        method, path = find_method(loading.release_name(model.architecture)), path_of(model)
        network = loading.load_quality(model.architecture, path).to(default_device())
        return Scorer(model.slug, f"{method.name}, {model.slug}", network, model.trained_on or UNSTATED, "",
                      mark(method.slug, {}, [path]))

    def digests(self) -> dict[str, str]:
        """Network -> digest of its file: what an exported row names."""
        found = {self.choice.key: self.recogniser_digest} if self.choice else {}
        return found | {slug: scorer.digest for slug, scorer in self.scorers.items() if scorer.digest}

    def suite_scores(self, scorer: Scorer) -> bool:
        """Whether the scores that the suite wrote are those of `scorer`: same networks, same options."""
        entry = methods_of(suite()).get(scorer.slug)
        return entry is not None and (not scorer.on
                                      or scorer.on == f"{RUN}:{entry.get('recogniser', usual())}")


@lru_cache(maxsize=8)
def load_choice(choice: Choice):
    """The recogniser of a choice, on the default device."""
    if choice.origin == SHIPPED:
        return loading.load_shipped(choice.slug).to(default_device())
    return loading.load_recogniser(choice.architecture or choice.slug, choice.path).to(default_device())


@cache
def _kit(choice: Choice | None) -> Kit:
    return Kit(choice)


def kit_of(key: str) -> Kit:
    """The kit of a recogniser's key; "" or one that is not here: the first recogniser there is."""
    found = recognisers()
    return _kit(found.get(key) or next(iter(found.values()), None))


def mark(slug: str, options: dict, parts: list[Path]) -> str:
    """Text that differs where a method's code, options or networks do."""
    code = digest(Path(sys.modules[home(slug)].__file__))
    whole = repr((slug, sorted(options.items()), code, [network_digest(path) for path in parts]))
    return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()


@cache
def network_digest(path: Path) -> str:
    """Digest of a file of weights, read once."""
    return digest(path)
