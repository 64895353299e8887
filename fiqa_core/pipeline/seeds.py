"""`python -m fiqa_core seeds`: how far the seed of its training moves a distilled method.

The stages train every method once. This command trains the distilled ones again with each of `seeds` in params.yaml,
from the same labels, scores the benchmarks and takes the same areas. It runs after the stages that it builds on.
"""
from functools import partial as bound

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import write_csv
from fiqa_core.base.project import settings
from fiqa_core.evaluation.evaluate import evaluate
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.outputs import compared_recognisers, load_benchmarks
from fiqa_core.pipeline.score import entry_of, score_face_set
from fiqa_core.pipeline.train import learn
from fiqa_core.registry import methods
from fiqa_core.training.distillation import train_distilled

PLACE = ["method", "preset", "discard_limit"]


def measure_seeds() -> pd.DataFrame:
    """Write results/seeds/pauc.csv (method, seed, preset, discard_limit, pauc: the mean over recognisers and benchmarks)
    and spread.csv beside it, which is returned: `spread`. Raises FiqaError where there are fewer than two seeds."""
    seeds = settings("seeds")
    if len(seeds) < 2:
        raise FiqaError(f"params.yaml, seeds is {seeds}", "name two or more, for instance seeds: [1, 2, 3]")
    benchmarks, tables = load_benchmarks(), []
    embeddings = {(name, benchmark): bound(load_embeddings, slug, benchmark)
                  for slug, name in compared_recognisers().items() for benchmark in benchmarks}
    for slug in settings("distilled"):
        if "checkpoint" in entry_of(slug):
            continue
        scores = pd.concat([scores_of(slug, seed, benchmarks).assign(method=str(seed)) for seed in seeds])
        means = evaluate(benchmarks, embeddings, scores, {**settings("evaluation"), "resamples": 0})["means"]
        means = means[(means["recogniser"] == "all") & means["method"].isin(map(str, seeds))]
        tables.append(means.rename(columns={"method": "seed"}).assign(method=methods()[slug].name))
    if not tables:
        raise FiqaError("the suite distils no method", "choose another suite: make repro SUITE=demo")
    table = pd.concat(tables, ignore_index=True)[["method", "seed", *PLACE[1:], "pauc"]]
    write_csv(table, project.results() / "seeds" / "pauc.csv")
    found = spread(table)
    write_csv(found, project.results() / "seeds" / "spread.csv")
    return found


def scores_of(slug: str, seed: int, benchmarks: dict[str, FaceSet]) -> pd.DataFrame:
    """Scores of the benchmarks (benchmark, image_id, score) by a distilled method trained with `seed`."""
    config, scores = {**entry_of(slug), "seed": seed}, {name: np.full(len(faces), np.nan) for name, faces in benchmarks.items()}
    for model, trained, *_ in learn(slug, "distilled", config, bound(train_distilled, methods()[slug].build)):
        for name, faces in benchmarks.items():
            mask = (faces.images["crossfit"] == model).to_numpy()
            scores[name][mask] = score_face_set(trained, faces, mask, batch=settings("scoring.batch"),
                                                device=default_device())
    return pd.concat([pd.DataFrame({"benchmark": name, "image_id": faces.images["image_id"], "score": scores[name]})
                      for name, faces in benchmarks.items()])


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Columns method, preset, discard_limit, seeds (how many), mean, sd (over n - 1), lowest, highest of their areas."""
    return table.groupby(PLACE, sort=False)["pauc"].agg(seeds="count", mean="mean", sd="std", lowest="min",
                                                        highest="max").reset_index()
