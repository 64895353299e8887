"""`python -m fiqa_core ship`: the networks that the active suite has trained become those that ship.

What stands in the manifest is measured with the file that ships, in half precision, on people held out.
"""
import subprocess

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import sha256
from fiqa_core.base.project import settings
from fiqa_core.evaluation.evaluate import verification_table
from fiqa_core.loading import load_diffusion, load_recogniser, network_of
from fiqa_core.pipeline.outputs import diffusion_path, load_benchmarks, load_training, recogniser_path
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.weights.shipped import FOLDER, Shipped, shipped, write_manifest, write_network

FIGURES = ("accuracy", "fnmr_fmr1e2", "fnmr_fmr1e3")


def ship_networks() -> dict[str, Shipped]:
    """Write fiqa_core/inputs/networks/<name>.safetensors of every network that is trained, and the manifest.

    Networks that are not trained (yet) keep the file and row they have. Raises FiqaError where none is trained.
    """
    training, (_, held_out) = load_training(), next(iter(load_benchmarks().items()))
    facts = {"people": training.images["identity"].nunique(), "images": len(training),
             "protocol": " ".join(settings("faces")["training"]), "command": f"make repro SUITE={settings('suite')}",
             "commit": commit()}
    known, order = shipped(), [*settings("recognisers"), "diffusion"]
    for name in order:
        path = diffusion_path(0) if name == "diffusion" else recogniser_path(name)
        if path.is_file():
            known[name] = Shipped(name=name, **{key: str(value) for key, value in (facts | _ship(name, path, held_out)).items()})
    if not known:
        raise FiqaError("the active suite has trained no network", "make repro SUITE=pretrain")
    write_manifest({name: known[name] for name in (*order, *known) if name in known})
    return known


def _ship(name: str, path, held_out: FaceSet) -> dict:
    """Write one network's file; what the manifest says of it alone."""
    target = FOLDER / f"{name}.safetensors"
    if name == "diffusion":
        model = load_diffusion(path)
        write_network(model, "diffusion", model.config, target)
        figures = dict.fromkeys((*FIGURES, "genuine", "impostor"), "")
    else:
        recogniser = load_recogniser(name, path)
        write_network(recogniser.network, "recogniser", recogniser.config, target)
        model = network_of(target)
        figures = verification(name, embed(model, held_out.pixels, default_device(), **settings("embed")), held_out)
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"kind": "diffusion" if name == "diffusion" else "recogniser", "sha256": sha256(target), "parameters": count,
            **figures}


def verification(name: str, embeddings, faces: FaceSet) -> dict:
    """Accuracy and FNMR at fixed FMR, four decimals, and the numbers of pairs."""
    row = verification_table({faces.name: faces}, {(name, faces.name): embeddings}).iloc[0]
    return {**{key: f"{row[key]:.4f}" for key in FIGURES}, **{key: int(row[key]) for key in ("genuine", "impostor")}}


def commit() -> str:
    """The commit that the project is at; "" where git knows none."""
    result = subprocess.run(["git", "rev-parse", "HEAD"], check=False, cwd=project.root(), text=True, capture_output=True)
    return result.stdout.strip() if result.returncode == 0 else ""
