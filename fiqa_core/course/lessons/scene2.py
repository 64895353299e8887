"""Lesson 2: when is a quality score any good? Curves and areas of the pack's comparisons."""
from functools import cache

import numpy as np
import pandas as pd

from fiqa_core.course import sketch
from fiqa_core.course.claims import Claim
from fiqa_core.course.game import FMR, LIMIT, both_areas
from fiqa_core.course.pack import load_pack
from fiqa_core.evaluation.bootstrap import DiscardWeights, multiplicities, pair_weights, percentile_interval
from fiqa_core.evaluation.comparisons import pair_quality
from fiqa_core.evaluation.discard import LEVELS, ranks
from fiqa_core.evaluation.edc import edc, oracle_curve

NAMES = {"occlusion": "true occlusion", "severity": "true severity", "faceqan": "FaceQAN (k = "
                                                                                "2)", "diffiqa": "DifFIQA (n "
                                                                                                 "= 1)",
         "magface": "MagFace", "ser_fiq": "SER-FIQ", "sharpness": "sharpness", "symmetry": "symmetry",
         "illumination": "illumination", "length": "embedding length"}
TEN = pd.DataFrame({"comparison": range(1, 11), "similarity": (.81, .22, .74, .40, .66, .35, .71, .58, .90, .63),
                    "quality": (8, 1, 7, 2, 6, 2, 3, 5, 9, 6)})
TEN_THRESHOLD = 0.5


def ten() -> pd.DataFrame:
    """Ten genuine comparisons to discard by hand."""
    return TEN.assign(rejected=np.where(TEN["similarity"] < TEN_THRESHOLD, "yes", "")).set_index("comparison")


def ten_curve():
    """Their curve."""
    errors = TEN["similarity"].to_numpy() < TEN_THRESHOLD
    levels = np.unique(TEN["quality"])
    points = [np.mean(TEN["quality"] < q) for q in levels], [errors[TEN["quality"] >= q].mean() for q in levels]
    return sketch.curves({"ten comparisons": points}, "share discarded", "FNMR of what is kept",
                          "A step curve that begins at three tenths and falls to nothing after three tenths "
                          "are gone",
                          "The curve of the ten", steps=True, limit=(0, 0.9))


@cache
def comparisons() -> tuple[np.ndarray, np.ndarray]:
    """Similarity and genuine (P,) of the pack."""
    return load_pack().similarity(), load_pack()["genuine"]


def quality_of(method: str, how=pair_quality) -> np.ndarray:
    """Quality (P,) of the comparisons."""
    pack = load_pack()
    return how(pack[f"q_{method}"].astype(float), pack["a"], pack["b"])


@cache
def curve_of(method: str, preset: str = "iso"):
    """The curve of a method; "random" draws its scores."""
    similarity, genuine = comparisons()
    pack = load_pack()
    quality = (pair_quality(np.random.default_rng(0).random(len(pack["identity"])), pack["a"], pack["b"])
               if method == "random" else quality_of(method))
    return edc(similarity, genuine, quality, preset, FMR)


def draw_curves(*methods: str, preset: str = "iso", oracle: bool = True):
    """Curves of some methods, with the oracle's."""
    lines = {NAMES.get(method, method): curve_of(method, preset).steps() for method in methods}
    if oracle:
        lines["oracle"] = oracle_curve(curve_of(methods[0], preset)).steps()
    return sketch.curves(lines, "share discarded", "FNMR of what is kept (lower is better)",
                          f"Error-versus-discard curves of {', '.join(lines)}", "Discarding by different "
                                                                                "scores",
                          steps=True, limit=(0, LIMIT), level=curve_of(methods[0], preset).fnmr0,
                         top=1.15 * curve_of(methods[0], preset).fnmr0)


def areas(preset: str = "iso") -> dict[str, float]:
    """Name -> pAUC of every score of the pack, the best first."""
    found = {NAMES[method]: curve_of(method, preset).pauc(LIMIT) for method in NAMES}
    found["random"] = curve_of("random", preset).pauc(LIMIT)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def draw_areas(preset: str = "iso"):
    """All areas, the line at 1."""
    return sketch.bars(areas(preset), f"pAUC at {LIMIT}, preset {preset} (lower is better)",
                        "One dot for each score; the dashed line at 1 is no better than chance", level=1.0)


def draw_presets():
    """The same scores under both presets."""
    table = pd.DataFrame({preset: areas(preset) for preset in ("iso", "paper")}).sort_values("iso")
    return sketch.cells(table, 0.4, 1.1, "Each score's area under both presets", "Two rules, two numbers", "{:.3f}")


def grid_area(method: str) -> float:
    """pAUC of the `iso` curve when it is read on paper's grid of 5 % steps."""
    curve = curve_of(method)
    levels = LEVELS[LEVELS < LIMIT - 1e-9]
    return float(np.mean(curve.at(levels)) / curve.fnmr0)


def game() -> dict[str, float]:
    """The areas of minus the impostors' similarity, and how far it draws the threshold of `paper` down."""
    similarity, genuine = comparisons()
    score = np.where(genuine, 1.0, -similarity)
    paper, iso = both_areas(similarity, genuine, score)
    thresholds = edc(similarity, genuine, score, "paper", FMR).thresholds
    return {"paper": paper, "iso": iso, "first": float(thresholds[0]), "last": float(thresholds[5])}


def draw_game():
    """Thresholds over discard: fixed under `iso`, following the impostors under `paper`."""
    similarity, genuine = comparisons()
    score = np.where(genuine, 1.0, -similarity)
    lines = {preset: (curve.discard, curve.thresholds) for preset in ("paper", "iso")
             for curve in [edc(similarity, genuine, score, preset, FMR)]}
    lines["iso"] = np.array([0, 0.95]), np.repeat(lines["iso"][1][0], 2)
    return sketch.curves(lines, "share discarded", "threshold",
                          "Under paper the threshold falls as impostors leave, under iso it "
                          "stays", "The gamed score",
                          limit=(0, 0.5), steps=True)


def intervals(resamples: int = 200) -> dict[str, tuple[float, float]]:
    """Name -> 95 % interval of pAUC over resampled people (preset iso)."""
    pack, (similarity, genuine) = load_pack(), comparisons()
    drawn = multiplicities(int(pack["identity"].max()) + 1, resamples, 1)
    a, b = pack["identity"][pack["a"][genuine]], pack["identity"][pack["b"][genuine]]
    weights, found = pair_weights(drawn, a, b), {}
    for method, name in NAMES.items():
        curve = curve_of(method)
        rank, errors = ranks(quality_of(method)[genuine]), similarity[genuine] < curve.threshold
        found[name] = percentile_interval(DiscardWeights(rank, weights).pauc(errors[None], LIMIT)[0])
    return found


def draw_intervals():
    """Areas with their intervals."""
    found = areas()
    chosen = {name: found[name] for name in found if name != "random"}
    return sketch.bars(chosen, f"pAUC at {LIMIT}, preset iso (lower is better)",
                        "One dot for each score with the interval of resampled people", "How certain is "
                                                                                        "that?", level=1.0,
                        intervals=intervals())


def claimed() -> dict[str, Claim]:
    """The measured sentences."""
    def ends():
        curve = curve_of("severity")
        return {"oracle": oracle_curve(curve).pauc(LIMIT), "random": curve_of("random").pauc(LIMIT),
                "severity": curve.pauc(LIMIT)}

    def grids():
        return {"iso": curve_of("severity").pauc(LIMIT), "paper": curve_of("severity", "paper").pauc(LIMIT),
                "grid": grid_area("severity")}

    return {
        "ends": Claim("Nothing can lie below the oracle, whose area is {oracle:.2f}; discarding at random "
                      "gives "
                      "{random:.2f}, about 1. The true severity of the flaws lies between them, at "
                      "{severity:.2f}.", ends,
                      lambda oracle, random, severity: oracle < severity - 0.05 and severity < random - 0.05
                      and 0.9 < random < 1.1, "oracle < severity < random by 0.05 each; random within 0.1 of "
                                              "1"),
        "grid": Claim("By true severity, `iso` says {iso:.3f} and `paper` {paper:.3f}. Read the very same "
                      "`iso` curve on "
                      "`paper`'s grid of 5 % steps and it says {grid:.3f}.", grids,
                      lambda iso, paper, grid: grid > iso, "the grid raises the area of a falling curve"),
        "game": Claim("A \"quality\" that only discards similar impostors has {paper:.2f} under `paper` and {iso:.2f} "
                      "under `iso`: after a quarter is gone, the threshold of `paper` is {last:.2f} instead of {first:.2f}.",
                      game, lambda paper, iso, first, last: paper < 0.8 and 0.95 < iso < 1.05 and last < first - 0.05,
                      "paper < 0.8, iso within 0.05 of 1, the threshold lower by 0.05"),
    }
