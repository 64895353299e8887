"""Stage `distil`: train one distilled method on DifFIQA's labels, per cross-fitted model."""
import pandas as pd
import torch

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.project import settings
from fiqa_core.kernels.ediffiqa import Distilled
from fiqa_core.loading import KINDS, kind_of, save_quality
from fiqa_core.pipeline.checkpoint import take_checkpoint
from fiqa_core.pipeline.label import load_labels
from fiqa_core.pipeline.prepare import load_training, models
from fiqa_core.pipeline.recognise import pipeline_recogniser
from fiqa_core.pipeline.score import quality_path
from fiqa_core.pipeline.stage_files import forget, partial_path
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.training.distillation import distil


def distil_method(slug: str) -> pd.DataFrame:
    """Write build/quality/<slug>/<model>.pt and results/distilled/<slug>/training.csv; returns the losses.

    The backbone starts as recogniser `backbone` of `distilled.<slug>` in params.yaml, the rest of that
    section overrides the paper's numbers (methods.distillation.PAPER). With `checkpoint` in its place the
    authors' file is taken, and there are no losses.
    """
    config, path = dict(settings(f"distilled.{slug}")), project.results() / "distilled" / slug / "training.csv"
    table = (take_checkpoint(slug, config, quality_path(slug, 0)) if "checkpoint" in config
             else train_models(slug, config))
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    return table


def train_models(slug: str, config: dict) -> pd.DataFrame:
    """Train all cross-fitted models of a distilled method and save them; returns their losses."""
    faces, logs = load_training(), []
    backbone = config.pop("backbone")
    config = {"seed": settings("seed"), **config}
    for model in models(faces):
        rows = faces.images.reset_index().merge(load_labels(model), on="image_id")
        checkpoint = partial_path(f"distil-{slug}-{model}", "07_distil", faces, config=config)
        log = checkpoint.with_name(checkpoint.name + ".csv")
        recogniser = pipeline_recogniser(backbone)
        untrained = untrained_model(slug, recogniser, config["seed"])
        trained = distil(untrained, faces.pixels[rows["index"].to_numpy()], rows["score"].to_numpy(),
                         rows["identity"].to_numpy(), config, checkpoint, default_device(), log)
        save_quality(trained, kind_of(slug), recogniser, quality_path(slug, model))
        logs.append(pd.read_csv(log).assign(model=model))
        forget(checkpoint), forget(log)
    return pd.concat(logs, ignore_index=True)


def untrained_model(slug: str, recogniser: Recogniser, seed: int) -> Distilled:
    """The distilled method of a slug on a copy of `recogniser`; its new head is drawn with `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return KINDS[kind_of(slug)].build(recogniser)
