"""The faces that a single face is compared with: where a score stands, which threshold, which pairs leave.

A benchmark of the active suite with the scores that its stages wrote, or the explorer's own set: 240 rendered
faces of 40 people with every flaw of the renderer, and all 600 genuine and 10,000 impostor pairs drawn among
them. What nobody has computed yet, `Reference.work` computes in small steps and keeps in build/explorer.
"""
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core import rendering
from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, load_face_set
from fiqa_core.base.files import digest, read_table, replacing
from fiqa_core.challenges.component_measures import COMPONENTS
from fiqa_core.evaluation.comparisons import BenchmarkPairs, benchmark_pairs
from fiqa_core.evaluation.edc import Comparisons
from fiqa_core.explore.kit import Kit, Scorer
from fiqa_core.explore.portrait import portrait
from fiqa_core.explore.state import SIDE, State, state_of_face
from fiqa_core.pipeline.embed import embedding_path
from fiqa_core.pipeline.outputs import benchmark_folder, benchmark_names
from fiqa_core.recognisers.recogniser import embed_batch
from fiqa_core.rendering.face_sets import make_pairs
from fiqa_core.rendering.nuisance import COLUMNS, draw, severity

OWN = "explorer"
SEED, PEOPLE, GOOD, POOR = 20260401, 40, 2, 4
IMPOSTORS = 10_000
EVERYDAY = {"yaw": {"normal": [0, 8]}, "pitch": {"normal": [0, 4]},
            "smile": {"uniform": [0.2, 1.0], "chance": 0.4},
            "light_level": {"uniform": [0.8, 1.25]}, "light_angle": {"normal": [0, 15]},
            "age": {"normal": [36, 6]},
            "noise": {"uniform": [1, 5]}, "jpeg": {"uniform": [70, 98]}, "jitter": {"uniform": [0, 1]}}
FLAWED = EVERYDAY | {
    "yaw": {"normal": [0, 28]}, "pitch": {"normal": [0, 12]}, "roll": {"normal": [0, 12]},
    "mouth_open": {"uniform": [0.2, 1.0], "chance": 0.2},
                     "eyes_closed": {"uniform": [0.5, 1.0], "chance": 0.2},
    "light_level": {"uniform": [0.3, 2.0]}, "light_angle": {"normal": [0, 45]},
    "glasses": {"uniform": [0.1, 1.0], "chance": 0.2}, "mask": {"uniform": [0.2, 1.0], "chance": 0.2},
    "bar": {"uniform": [0.15, 0.6], "chance": 0.2}, "hat": {"uniform": [0.2, 0.9], "chance": 0.2},
    "defocus": {"uniform": [0.5, 5.0], "chance": 0.4}, "motion": {"uniform": [2, 11], "chance": 0.25},
    "resolution": {"uniform": [14, 60], "chance": 0.3}, "noise": {"uniform": [2, 40], "exponent": 2},
    "jpeg": {"uniform": [8, 90]}, "jitter": {"uniform": [0, 3]}}
STEP = 4                        # faces that are rendered or scored between two looks at the user's next wish


@dataclass(eq=False)
class Reference:
    """Faces with scores, filled step by step.

    faces       images table (N rows: identity, true causes) and pairs; pixels (N, 112, 112, 3) uint8
    pixels      how many rows of them are there yet: all but for the explorer's own set
    scores      digest of a scorer -> (N,) float64 in the order of `faces.images`
    embeddings  digest of a recogniser's file -> (N, D) float32
    """

    faces: FaceSet
    ready: int
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    embeddings: dict[str, np.ndarray] = field(default_factory=dict)
    similarities: dict[tuple, Comparisons] = field(default_factory=dict)
    thresholds: dict[tuple, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.faces.name

    @property
    def own(self) -> bool:
        return self.name == OWN

    @cached_property
    def pairs(self) -> BenchmarkPairs:
        return benchmark_pairs(self.faces)

    def state_of(self, row: int, state: State) -> State:
        """`state` with the face of a row: its person and flaws, or where these are not known its pixels."""
        images = self.faces.images
        if self.own:
            person = {"seed": SEED, "of": PEOPLE, "row": int(images["person"].iloc[row])}
            return state_of_face(images.iloc[row], **person).but(**kept(state))
        picture = np.ascontiguousarray(self.faces.pixels[row])
        return State(picture=picture.tobytes(),
                     picture_name=str(images["image_id"].iloc[row])).but(**kept(state))

    def percentile(self, scorer: Scorer, value: float) -> float | None:
        """Share of the faces in per cent with scores below `value`, ties half; None where not yet known."""
        return place(self.scores.get(scorer.digest), value)

    def components(self) -> dict[str, np.ndarray]:
        """Component measure -> (N,) values; {} until all faces are there."""
        return {name: self.scores[name] for name in COMPONENTS if name in self.scores}

    def comparisons(self, kit: Kit, fmr: float) -> Comparisons | None:
        """The pairs by the chosen recogniser, ready for curves; None until its embeddings are there."""
        key = kit.recogniser_digest
        if key not in self.embeddings:
            return None
        if (key, fmr) not in self.similarities:
            similarity = self.pairs.similarity(self.embeddings[key])
            self.similarities[key, fmr] = Comparisons(similarity, self.pairs.genuine, fmr)
        return self.similarities[key, fmr]

    def threshold(self, kit: Kit, preset: str, fmr: float) -> float | None:
        """Similarity from which a pair is accepted; None until the embeddings are there.

        Raises FiqaError where the pairs cannot show such a false match rate.
        """
        found, key = self.comparisons(kit, fmr), (kit.recogniser_digest, preset, fmr)
        if found is not None and key not in self.thresholds:
            equal = np.zeros(len(found.similarity), np.int32)
            self.thresholds[key] = found.curve(equal, preset).threshold
        return self.thresholds.get(key)

    def work(self, kit: Kit) -> Iterator[str]:
        """Compute what is missing, one short step after another; yields what is being done, for the user.

        Faces first, then embeddings and quick scores, last the slow ones. Every finished array is kept.
        """
        yield from self._render()
        for name, measure in COMPONENTS.items():
            yield from self._fill(name, f"measure-{name}", Scorer(name, name, measure))
        if kit.choice:
            yield from self._embed(kit)
        for scorer in sorted(kit.scorers.values(), key=lambda scorer: scorer.slow):
            written = None if self.own or not kit.suite_scores(scorer) else suite_column(scorer, self.faces)
            if written is not None:
                self.scores.setdefault(scorer.digest, written)
            yield from self._fill(scorer.digest, scorer.digest, scorer)

    def _render(self) -> Iterator[str]:
        """The explorer's own faces, as `portrait` shows them."""
        saved = keep("pixels", rendering_digest())
        if self.ready < len(self.faces) and saved.is_file():
            self.faces.pixels[:], self.ready = np.load(saved), len(self.faces)
        while self.ready < len(self.faces):
            for row in range(self.ready, min(self.ready + STEP, len(self.faces))):
                self.faces.pixels[row] = portrait(self.state_of(row, State()))[0]
                self.ready += 1
            yield f"rendering the faces to compare with, {self.ready} of {len(self.faces)}"
            if self.ready == len(self.faces):
                save(saved, self.faces.pixels)

    def _fill(self, key: str, file: str, scorer: Scorer) -> Iterator[str]:
        """The scores of one method."""
        if key in self.scores:
            return
        saved = keep(file, self.name, self.content)
        if not saved.is_file():
            step = 1 if scorer.slow else STEP
            values = np.zeros(len(self.faces))
            for start in range(0, len(self.faces), step):
                values[start:start + step] = scorer(np.asarray(self.faces.pixels[start:start + step]))
                done = min(start + step, len(values))
                yield f"{scorer.name} of the faces to compare with, {done} of {len(values)}"
            save(saved, values)
        self.scores[key] = np.load(saved)

    def _embed(self, kit: Kit) -> Iterator[str]:
        """Embeddings by the chosen recogniser: the suite's where it made them."""
        key, count = kit.recogniser_digest, len(self.faces)
        if key in self.embeddings:
            return
        made = embedding_path(kit.choice.slug, self.name)
        if not self.own and kit.choice.origin == "run" and made.is_file():
            self.embeddings[key] = np.load(made)
            return
        saved = keep("embeddings", key, self.name, self.content)
        if not saved.is_file():
            parts = []
            for start in range(0, count, STEP):
                some = self.faces.pixels[start:start + STEP]
                parts.append(embed_batch(kit.recogniser, some, default_device(), STEP, kit.flip))
                yield f"embedding the faces to compare with, {min(start + STEP, count)} of {count}"
            save(saved, np.concatenate(parts))
        self.embeddings[key] = np.load(saved)

    @cached_property
    def content(self) -> str:
        """Digest of the pixels: what scores belong to. Asked for once all faces are there."""
        return hashlib.blake2b(np.ascontiguousarray(self.faces.pixels), digest_size=16).hexdigest()


def kept(state: State) -> dict:
    """The choices of a state that are no part of its picture."""
    pictured = ("seed", "of", "row", "style", "flaws", "picture", "picture_name")
    return {name: value for name, value in vars(state).items() if name not in pictured}


def place(values: np.ndarray | None, value: float) -> float | None:
    """Percentile of `value` among `values` (N,) without NaN, ties half; None where there are none."""
    values = None if values is None else values[np.isfinite(values)]
    if values is None or not len(values):
        return None
    return 100 * float((values < value).mean() + (values == value).mean() / 2)


def own_faces() -> FaceSet:
    """People, flaws and pairs of the explorer's set; its pixels are still to be rendered."""
    generator = np.random.default_rng(SEED)
    count = PEOPLE * (GOOD + POOR)
    images = pd.DataFrame({"person": np.repeat(np.arange(PEOPLE), GOOD + POOR),
                           "group": ["good"] * GOOD * PEOPLE + ["poor"] * POOR * PEOPLE})
    images["group"] = np.tile(["good"] * GOOD + ["poor"] * POOR, PEOPLE)
    good = (images["group"] == "good").to_numpy()
    flaws = pd.DataFrame(index=images.index, columns=[*COLUMNS, "style"])
    for chosen, distributions in ((good, EVERYDAY), (~good, FLAWED)):
        flaws.loc[chosen] = draw(distributions, int(chosen.sum()), generator).to_numpy(object)
    images = pd.concat([images, flaws.astype({**dict.fromkeys(COLUMNS, float), "style": "int64"})], axis=1)
    images["identity"] = images["person"].map("person {:02d}".format)
    images["image_id"] = [f"{name}, picture {i % (GOOD + POOR)}" for i, name in enumerate(images["identity"])]
    images = images.assign(template_id=images["image_id"], media_id=images["image_id"], crossfit=0,
                           severity=severity(images))
    genuine = PEOPLE * (GOOD + POOR) * (GOOD + POOR - 1) // 2
    pairs = make_pairs(images.assign(fold=0), genuine, IMPOSTORS, None, generator)
    return FaceSet(OWN, np.zeros((count, SIDE, SIDE, 3), np.uint8), images, pairs)


@cache
def reference_of(name: str) -> Reference:
    """The set of a name. Raises FiqaError for a benchmark that the suite has not prepared."""
    if name == OWN:
        faces = own_faces()
        return Reference(faces, 0)
    faces = load_face_set(benchmark_folder(name))
    return Reference(faces, len(faces))


@cache
def references() -> dict[str, str]:
    """Name -> what the user reads: the suite's benchmarks with scores, then the own set. Looked for once."""
    try:
        names = [name for name in benchmark_names() if (benchmark_folder(name) / "pixels.npy").is_file()]
    except FiqaError:
        names = []
    scored = any((project.results() / "scores").glob("*.csv"))
    best = sorted(names if scored else [], key=lambda name: name != "XQLFW")
    return {**{name: f"{name} of suite {project.active_suite()}" for name in best},
            OWN: f"{PEOPLE * (GOOD + POOR)} rendered faces"}


def suite_column(scorer: Scorer, faces: FaceSet) -> np.ndarray | None:
    """The scores (N,) that the suite wrote for a method and a benchmark, NaN where it left one out; or None."""
    path = project.results() / "scores" / f"{scorer.slug}.csv"
    table = read_table(path, ("method", "image_id")) if path.is_file() else None
    if table is None or not (table["benchmark"] == faces.name).any():
        return None
    own = table[table["benchmark"] == faces.name].set_index("image_id")["score"]
    return own.reindex(faces.images["image_id"].astype(str)).to_numpy(float)


def rendering_digest() -> str:
    """Digest of the renderer's code: faces of another one are rendered again."""
    folder = Path(rendering.__file__).parent
    return hashlib.blake2b("".join(digest(path) for path in sorted(folder.glob("*.py"))).encode()).hexdigest()


def keep(*parts: str) -> Path:
    """Where an array that depends on `parts` is kept."""
    name = hashlib.blake2b("/".join(parts).encode(), digest_size=16).hexdigest()
    return project.root() / "build" / "explorer" / f"{parts[0].replace(' ', '-')[:24]}-{name}.npy"


def save(path: Path, values: np.ndarray) -> None:
    """Keep an array, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, open(part, "wb") as file:
        np.save(file, values)

