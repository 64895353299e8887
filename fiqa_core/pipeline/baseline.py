"""Stage `baseline`: train a method that the papers compare with, or take its authors' checkpoint."""
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.project import settings
from fiqa_core.loading import KINDS, kind_of, save_quality
from fiqa_core.methods.cr_fiqa import train_cr_fiqa
from fiqa_core.methods.faceqgen import train_faceqgen
from fiqa_core.methods.faceqnet import train_faceqnet
from fiqa_core.methods.froq import train_froq
from fiqa_core.methods.lightqnet import LightQNet, train_lightqnet
from fiqa_core.methods.pcnet import train_pcnet
from fiqa_core.methods.pfe import train_pfe
from fiqa_core.methods.sdd_fiqa import train_sdd_fiqa
from fiqa_core.pipeline.checkpoint import take_checkpoint
from fiqa_core.pipeline.prepare import allowed, chosen_faces, load_training, models
from fiqa_core.pipeline.recognise import pipeline_recogniser
from fiqa_core.pipeline.score import quality_path, recogniser_of
from fiqa_core.pipeline.stage_files import forget, partial_path
from fiqa_core.training.fitting import untrained


def new_lightqnet(faces, recogniser, config, *where):
    """LightQNet of the width and colour order in `config`, trained by the rest of it."""
    options = {key: config.pop(key) for key in KINDS["LightQNet"].options if key in config}
    student = untrained(lambda: LightQNet(**options), config["seed"])
    return train_lightqnet(student, faces, recogniser, config, *where)


# slug -> (faces, recogniser, config, checkpoint, device, log) -> trained method
TRAINERS = {"faceqnet": train_faceqnet, "sdd_fiqa": train_sdd_fiqa, "pfe": train_pfe, "pcnet": train_pcnet,
            "lightqnet": new_lightqnet, "cr_fiqa": train_cr_fiqa, "faceqgen": train_faceqgen,
            "froq": train_froq}


def obtain_baseline(slug: str) -> pd.DataFrame:
    """Write build/quality/<slug>/<model>.pt and results/baselines/<slug>/training.csv; returns the latter.

    With `checkpoint` in `baselines.<slug>` of params.yaml the authors' file is checked and taken, and the log
    is empty; `model` then names which of their models it is, where there are several. Else the section
    overrides the paper's numbers, and every cross-fitted model learns from the faces it may see.
    """
    config = dict(settings(f"baselines.{slug}") or {})
    folder = project.results() / "baselines" / slug
    folder.mkdir(parents=True, exist_ok=True)
    table = (take_checkpoint(slug, config, quality_path(slug, 0)) if "checkpoint" in config
             else train_models(slug, config))
    table.to_csv(folder / "training.csv", index=False, float_format="%.6f", lineterminator="\n")
    return table


def train_models(slug: str, config: dict) -> pd.DataFrame:
    """Train all cross-fitted models of a method and save them; returns their logs, with column `model`."""
    faces, logs = load_training(), []
    name = config.pop("recogniser", None) or recogniser_of(slug)
    recogniser = pipeline_recogniser(name)
    config = {"seed": settings("seed"), **config}
    for model in models(faces):
        checkpoint = partial_path(f"baseline-{slug}-{model}", "07_baseline", faces, config=config,
                                  recogniser=name)
        log = checkpoint.with_name(checkpoint.name + ".csv")
        trained = TRAINERS[slug](chosen_faces(faces, allowed(faces, model)), recogniser, dict(config),
                                 checkpoint, default_device(), log)
        backbone = getattr(trained, "backbone", recogniser)
        save_quality(trained, kind_of(slug), backbone, quality_path(slug, model))
        logs.append((pd.read_csv(log) if log.is_file() else pd.DataFrame()).assign(model=model))
        forget(checkpoint), forget(log)
    return pd.concat(logs, ignore_index=True)
