"""From a state to what is seen of one face: pure functions, quick ones and those that wait for a pause."""
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch import nn

from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch, to_pixels
from fiqa_core.challenges.component_measures import COMPONENTS
from fiqa_core.evaluation.comparisons import unit
from fiqa_core.explore.kit import Kit
from fiqa_core.explore.portrait import portrait
from fiqa_core.explore.reference import Reference, place
from fiqa_core.explore.state import State, steps_of
from fiqa_core.kernels import diffiqa, faceqan
from fiqa_core.recognisers.recogniser import embed_batch
from fiqa_core.rendering.nuisance import severity

FAR, FEW = 50, 10           # percentiles: scores that far apart disagree, a measure that low explains
MAGNIFIED = 200             # of the adversarial noise, whose steps are a quarter of a grey level


@dataclass(frozen=True)
class Mark:
    """One number with its place: `percentile` among the faces to compare with, None while nobody knows it."""

    name: str
    value: float
    percentile: float | None = None


@dataclass(frozen=True)
class Frame:
    """What the quick loop shows of a state.

    pixels, good    the face and its reference without flaws, (112, 112, 3) uint8
    occlusion       covered share of the face, NaN of photographs; severity as in `nuisance.severity`
    similarity      cosine of both embeddings; threshold: from where they match. None where unknown
    scores          slug -> Mark, of the quick methods; components: name -> Mark
    problem         why there is no decision; ""
    """

    state: State
    pixels: np.ndarray
    good: np.ndarray
    occlusion: float
    severity: float
    similarity: float | None
    threshold: float | None
    scores: dict[str, Mark]
    components: dict[str, Mark]
    problem: str = ""

    @property
    def accepted(self) -> bool | None:
        """Whether face and reference match at the chosen false match rate; None where nobody can tell."""
        if self.similarity is None or self.threshold is None:
            return None
        return self.similarity >= self.threshold


def frame(state: State, kit: Kit, faces: Reference) -> Frame:
    """Everything of a state that takes a moment only."""
    pixels, occlusion = portrait(state)
    good = portrait(state.unspoilt())[0] if state.picture else rendered_good(state.unspoilt())
    similarity, threshold, problem = None, None, ""
    try:
        similarity = cosine(kit, pixels, good)
        threshold = faces.threshold(kit, state.preset, state.fmr)
        problem = "" if threshold is not None else "The threshold waits for the faces to compare with."
    except FiqaError as error:
        problem = f"No decision: {error.problem}; {error.remedy}."
    scores = {scorer.slug: score_mark(scorer, pixels, faces) for scorer in kit.scorers.values()
              if not scorer.slow}
    batch, known = to_batch(pixels[None]), faces.components()
    components = {name: float(measure(batch)) for name, measure in COMPONENTS.items()}
    measured = {name: Mark(name, value, place(known.get(name), value)) for name, value in components.items()}
    return Frame(state, pixels, good, occlusion, float(severity(state.table())[0]), similarity, threshold,
                 scores, measured, problem)


def score_mark(scorer, pixels: np.ndarray, faces: Reference) -> Mark:
    """A method's score of a picture, with its place."""
    value = float(scorer(pixels[None])[0])
    return Mark(scorer.name, value, faces.percentile(scorer, value))


@lru_cache(maxsize=32)
def rendered_good(state: State) -> np.ndarray:
    """The pixels of a person without flaws, kept."""
    return portrait(state)[0]


def cosine(kit: Kit, pixels: np.ndarray, good: np.ndarray) -> float:
    """Similarity of two faces by the chosen recogniser, embedded as the pipeline embeds."""
    a, b = unit(embed_batch(kit.recogniser, np.stack([pixels, good]), default_device(), 2, kit.flip))
    return float(np.clip(np.float64(a) @ np.float64(b), -1, 1))


def advice(shown: Frame, slow: dict[str, Mark] | None = None) -> str:
    """One sentence for the learner: do the scores agree, and which measure stands out?"""
    marks = [mark for mark in {**shown.scores, **(slow or {})}.values() if mark.percentile is not None]
    lowest = min((mark for mark in shown.components.values() if mark.percentile is not None),
                 key=lambda mark: mark.percentile, default=None)
    look = (f" Look at {lowest.name}: {ordinal(lowest.percentile)} percentile."
            if lowest and lowest.percentile < FEW else "")
    if len(marks) < 2:
        return look.strip()
    low, high = (pick(marks, key=lambda mark: mark.percentile) for pick in (min, max))
    if high.percentile - low.percentile < FAR:
        return f"The scores agree within {high.percentile - low.percentile:.0f} percentiles.{look}"
    return (f"The scores disagree: {low.name} puts this face at the {ordinal(low.percentile)} percentile, "
            f"{high.name} at the {ordinal(high.percentile)}.{look}")


def ordinal(value: float) -> str:
    """41.2 as "41st"."""
    number = int(round(value))
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


class Watched(nn.Module):
    """A network that keeps what it is shown; what it answers stays the same."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen = network, []

    def forward(self, images):
        self.seen.append(images.detach())
        return self.network(images)


@dataclass(frozen=True)
class Push:
    """FaceQAN at work: S (k, l) similarities, symmetry s_f, quality Q, and the noise of the first repeat.

    delta   (112, 112, 3) uint8: the noise MAGNIFIED times around mid-grey; largest: its largest grey step
    pushed  (112, 112, 3) uint8, the picture with that noise
    """

    mark: Mark
    similarities: np.ndarray
    symmetry: float
    delta: np.ndarray
    pushed: np.ndarray
    largest: float


def push(pixels: np.ndarray, kit: Kit, faces: Reference) -> Push:
    """FaceQAN's score of a picture and how it comes about. Raises FiqaError without a recogniser."""
    options = kit.options("faceqan")
    watched = Watched(kit.recogniser)
    method = faceqan.FaceQAN(watched, **options)
    image = to_batch(pixels[None], default_device())
    s, symmetry = method.similarities(image)
    last = watched.seen[-2]                         # of the attack; after it the mirrored face is embedded
    value = float(faceqan.quality(s, symmetry if method.symmetry else None, method.exponent))
    delta = last[:1] - image
    scorer = kit.scorers["faceqan"]
    return Push(Mark(scorer.name, value, faces.percentile(scorer, value)), s[0].cpu().numpy(),
                float(symmetry),
                to_pixels(0.5 + MAGNIFIED * delta)[0], to_pixels(last[:1])[0], 255 * float(delta.abs().max()))


class Drawn:
    """A diffusion model whose pictures are kept when they are enlarged for the recogniser."""

    def __init__(self, diffusion):
        self.diffusion, self.pictures = diffusion, []

    def __getattr__(self, name):
        return getattr(self.diffusion, name)

    def enlarge(self, x):
        self.pictures.append(self.diffusion.enlarge(x))
        return self.pictures[-1]


@dataclass(frozen=True)
class Repair:
    """DifFIQA at work: five similarities (n,) by name, quality, x_t, x_hat and its difference to x, x 5."""

    mark: Mark
    similarities: dict[str, np.ndarray]
    noisy: np.ndarray
    repaired: np.ndarray
    difference: np.ndarray
    timestep: int


def repair(pixels: np.ndarray, kit: Kit, faces: Reference, repeats: int | None = None) -> Repair:
    """DifFIQA's score of a picture and how it comes about. Raises FiqaError without its networks.

    repeats   n; None: as the suite has it, and only then the score has a place
    """
    options = kit.options("diffiqa")
    drawn = Drawn(kit.diffusion)
    method = diffiqa.DifFIQA(drawn, kit.recogniser, **options | ({"repeats": repeats} if repeats else {}))
    image = to_batch(pixels[None], default_device())
    found = method.similarities(image)
    value, scorer = float(diffiqa.quality(found)), kit.scorers["diffiqa"]
    noisy, repaired = (picture[:1] for picture in drawn.pictures[:2])
    small = kit.diffusion.enlarge(kit.diffusion.shrink(image))
    percentile = None if repeats else faces.percentile(scorer, value)
    return Repair(Mark(scorer.name, value, percentile),
                  {name: s[0].cpu().numpy() for name, s in found.items()},
                  to_pixels(noisy)[0], to_pixels(repaired)[0], to_pixels(0.5 + 5 * (repaired - small))[0],
                  method.timestep)


@dataclass(frozen=True)
class Point:
    """One value of a flaw: the score, and the similarity to the good reference, None without recogniser."""

    value: float
    score: float
    similarity: float | None


def curve(state: State, kit: Kit, slug: str) -> Iterator[Point]:
    """The score of method `slug` over the whole range of `state.flaw`, point by point.

    Raises FiqaError for a method that is not here, or a flaw that a photograph cannot be given.
    """
    if slug not in kit.scorers:
        raise FiqaError(f"{slug} is not here", "choose another method")
    if state.flaw not in state.movable():
        raise FiqaError(f"a photograph cannot be given {state.flaw}",
                        f"choose one of {', '.join(state.movable())}")
    good = portrait(state.unspoilt())[0]
    for value in steps_of(state.flaw):
        pixels = portrait(state.but(**{state.flaw: float(value)}))[0]
        similarity = cosine(kit, pixels, good) if kit.choice else None
        yield Point(float(value), float(kit.scorers[slug](pixels[None])[0]), similarity)
