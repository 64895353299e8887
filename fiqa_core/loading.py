"""The one place that joins files of weights to networks: recognisers, quality methods, diffusion models.

Files are those that the pipeline writes, which say themselves what they hold, and those that the authors
published, whose name says it. Methods come from `registry`: no method is known here by name.
"""
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache, partial
from inspect import signature
from pathlib import Path

import torch
from torch import nn

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.options import typed
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.recognisers.precision import with_precision
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.swin import SwinFace
from fiqa_core.recognisers.zoo import (CATALOGUE, TRANSLATORS, entry, recogniser_from_catalogue,
                                       recogniser_from_config)
from fiqa_core.registry import find_method, methods, releases
from fiqa_core.weights import fit
from fiqa_core.weights.catalogue import Model
from fiqa_core.weights.fit import Undrawn, Unfit, faults
from fiqa_core.weights.formats.pytorch import write_atomically
from fiqa_core.weights.keras_network import read_keras_network
from fiqa_core.weights.onnx_network import OnnxNetwork, OnnxQualityNetwork
from fiqa_core.weights.shipped import describes, find_shipped, read_network, shipped
from fiqa_core.weights.tensors import KERAS, ONNX, locate, read_tensors, recognise
from fiqa_core.weights.unwrap import needed, unwrap

# The papers' sizes of CR-FIQA by their depth, which is what the network alone is called.
DEPTHS_OF_RELEASES = {"crfiqa_iresnet50": "cr_fiqa_s", "crfiqa_iresnet100": "cr_fiqa_l"}
DIFFUSION = "diffiqa_gaussian_diffusion"


@cache
def architectures() -> dict[str, Callable[[], nn.Module]]:
    """Every network whose published weights the package knows, by name: what builds it, untrained and bare: it
    takes prepared images, returns what the authors' code returns, and has the keys of the authors' files."""
    published = {name: build for method in methods().values() for name, build in method.released.items()
                 if not hasattr(build, "keras_input")}
    return {**{name: row.build for name, row in CATALOGUE.items()}, "swinface_full": SwinFace,
            **{name: partial(_bare, build) for name, build in published.items()},
            "ediffiqa_mlp": lambda: _bare(published["ediffiqa_l"]).mlp,
            "diffiqa_unet": lambda: published[DIFFUSION]().model}


def _bare(build: Callable[[], nn.Module]) -> nn.Module:
    """The network of a published file without the preparation of its images."""
    model = build()
    return getattr(model, "network", model)


def release_name(name: str) -> str:
    """The name of a published file's network, however it is written: ediffiqa_L, crfiqa_iresnet50."""
    return DEPTHS_OF_RELEASES.get(name, name.lower())


def build_model(name: str) -> nn.Module:
    """The untrained network of an architecture, on the CPU and in evaluation mode. Raises FiqaError for an
    unknown name and tells the names most like it."""
    known, name = architectures(), release_name(name)
    if name not in known:
        raise FiqaError(f"unknown architecture {name!r}",
                        f"did you mean one of: {', '.join(get_close_matches(name, known, n=4) or sorted(known))}")
    return known[name]().eval()


RECOGNISER_FORMAT = "fiqa recogniser 1"


def load_recogniser(name: str, path: str | Path | None = None) -> Recogniser:
    """A trained recogniser, frozen and in evaluation mode.

    name  an architecture of the catalogue, whose official checkpoint `path` then is; or the slug of a
          recogniser that the pipeline trained
    path  checkpoint in any format of `fiqa_core.weights`, here or in the weights folder; an ONNX model has no
          gradients. None: what `own_network` finds, of the pipeline or shipped. A file of the workbook's own is
          rebuilt from the configuration inside it, whatever `name` is.
    Raises FiqaError if the file is missing, unsafe, or does not fit; it says which keys are at fault and
    which architecture they would fit.
    """
    path = own_network("recognisers", name) if path is None else locate(path)
    if describes(path):
        return network_of(path)
    if recognise(path) is ONNX:
        return _recogniser_of_onnx(name, path)
    content = read_tensors(path)
    if content.get("format") == RECOGNISER_FORMAT and "onnx" in content["config"]:
        return _recogniser_of_onnx(content["config"]["onnx"], path, content["state"]["onnx"].numpy().tobytes())
    with Undrawn():
        if content.get("format") == RECOGNISER_FORMAT:
            recogniser, content = recogniser_from_config(content["config"]), content["state"]
        else:
            recogniser = recogniser_from_catalogue(_known(name, path))
    load_strictly(recogniser.network, content, f"{path} as {name}")
    return recogniser.freeze()


def save_recogniser(recogniser: Recogniser, path: Path) -> None:
    """Write weights and the configuration that rebuilds the network to `path`, whole or not at all; of a
    recogniser in ONNX the model itself, which is both."""
    if recogniser.config is None:
        raise FiqaError(f"{path}: this recogniser has no configuration to rebuild it from",
                        "build it with load_recogniser or train_recogniser, or pass config= to Recogniser")
    state = {key: value.detach().cpu().contiguous() for key, value in recogniser.network.state_dict().items()}
    if "onnx" in recogniser.config:
        state = {"onnx": torch.frombuffer(bytearray(recogniser.network.content), dtype=torch.uint8)}
    write_atomically({"format": RECOGNISER_FORMAT, "config": recogniser.config, "state": state}, path)


def own_network(folder: str, name: str) -> Path:
    """The file of one of the workbook's networks: build/<suite>/<folder>/<name>.pt of the active suite, else what ships
    ("diffusion" whatever the number of its part, `name`, is). Raises FiqaError where there is neither."""
    with suppress(FiqaError):           # outside a project nothing is built
        path = project.build() / folder / f"{name}.pt"
        if path.is_file():
            return path
    name = "diffusion" if folder == "diffusion" else name
    if name in shipped():
        return find_shipped(name).path
    raise FiqaError(f"the network {name} is neither built here nor among those that ship",
                    f"name one that ships ({', '.join(shipped())}), or give the path of a checkpoint")


def _known(name: str, path: Path) -> str:
    if name not in CATALOGUE:
        raise FiqaError(f"{path} was not written by this project and {name!r} is no known architecture",
                        f"name the architecture it belongs to: {', '.join(CATALOGUE)}")
    return name


def _recogniser_of_onnx(name: str, path: Path, content: bytes | None = None) -> Recogniser:
    row = {key: value for key, value in vars(entry(_known(name, path))).items() if key != "build"} \
        if name not in ONNX_RECOGNISERS else ONNX_RECOGNISERS[name]
    return onnx_recogniser(path, content=content or path.read_bytes(), config={"onnx": name}, **row)


# Recognisers that exist as ONNX alone. OpenCV feeds its SFace with RGB in 0..255
# (modules/objdetect/src/face_recognize.cpp); the model normalises by itself.
ONNX_RECOGNISERS = {"sface": {"embedding_size": 128, "name": "SFace", "mean": 0.0, "std": 1 / 255}}


def onnx_recogniser(path: str | Path, embedding_size: int, content: bytes | None = None,
                    **preparation) -> Recogniser:
    """A recogniser of an ONNX file, frozen; content: see OnnxNetwork, preparation: of `Recogniser`. Raises FiqaError
    where the model does not run, or its embedding is not of `embedding_size`."""
    network = OnnxNetwork(path, content)
    if len(network.session.get_outputs()) == 1:         # exported with the embedding alone
        preparation |= {"output": 0, "norm": None}
    recogniser = Recogniser(network, embedding_size, **preparation)
    found = recogniser(torch.zeros(1, 3, 112, 112)).shape[1]
    if found != embedding_size:
        raise FiqaError(f"{path} gives embeddings of {found} numbers instead of {embedding_size}",
                        "check that the file belongs to this architecture")
    return recogniser.freeze()


QUALITY_FORMAT = "fiqa quality 2"
QUALITY_REMEDY = ("run make repro, which trains the methods, or give the authors' checkpoint "
                  "(python -m fiqa_core weights list)")


def save_quality(model: nn.Module, slug: str, backbone: Recogniser | None, path: Path) -> None:
    """Write a trained method, its arguments and the configuration of its backbone, whole or not at all; `backbone`
    is the recogniser whose architecture it has, and does not count for one that stands on none."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    stands, names = _arguments(slug)
    arguments = {name: _plain(getattr(model, name)) for name in names}
    write_atomically({"format": QUALITY_FORMAT, "method": slug, "config": backbone.config if stands else None,
                      "arguments": arguments, "state": state}, path)


def _arguments(slug: str) -> tuple[bool, list[str]]:
    """Whether a trained method stands on a backbone, and its other arguments that a file has to tell."""
    names = list(signature(find_method(slug).build).parameters)
    return "backbone" in names, [name for name in names if name not in ("backbone", "head", "budget")]


def _plain(value):
    """Sequences as lists, which a checkpoint of plain data may hold."""
    return list(value) if isinstance(value, tuple) else value


def load_quality(name: str, path: str | Path) -> nn.Module:
    """A trained method, frozen: written by `save_quality`, or a published file.

    name   a slug, or the name of the published file's network (ediffiqa_l, cr_fiqa_s, lightqnet_dm100)
    path   in any format of `fiqa_core.weights`, here or in the weights folder; ONNX, or Keras' for FaceQnet
    Raises FiqaError if the file is missing, unsafe or does not fit; it says which keys are at fault and which
    architecture they would fit.
    """
    path, name = locate(path, QUALITY_REMEDY), release_name(name)
    form = recognise(path)
    if form in READERS:
        return READERS[form](name, path).requires_grad_(False)
    content = read_tensors(path)
    with Undrawn():
        if content.get("format") == QUALITY_FORMAT:
            model, content = _rebuilt(content), content["state"]
        else:
            model = _released(name, path)()
    load_strictly(model, content, f"{path} as {name}")
    return model.requires_grad_(False).eval()


def _rebuilt(content: dict) -> nn.Module:
    """The empty network of a file that `save_quality` wrote."""
    backbone = [recogniser_from_config(content["config"])] if content["config"] else []
    return find_method(content["method"]).build(*backbone, **content["arguments"])


def _released(name: str, path: Path) -> Callable[[], nn.Module]:
    """What builds the empty network of a published file; FiqaError for a name that is none."""
    if name not in releases():
        raise FiqaError(f"{path} was not written by this project, and the authors' file of {name!r} has no network "
                        "here", f"train the method, or give one of: {', '.join(releases())}")
    build = releases()[name].released[name]
    if hasattr(build, "keras_input"):
        raise FiqaError(f"{path} does not say which layers {name!r} has; its authors' Keras file alone does",
                        f"give that file as it is: python -m fiqa_core weights list {name}_v1")
    return build


def _quality_of_onnx(name: str, path: Path) -> nn.Module:
    """A method whose network onnxruntime runs; its images are prepared as the published one's."""
    with Undrawn():
        model = releases()[name].released[name]() if name in releases() else None
    if not hasattr(getattr(model, "network", None), "judge"):
        raise _other_form(name, path, "an ONNX")
    model.network = OnnxQualityNetwork(path)
    return model


def _of_keras(name: str, path: Path) -> nn.Module:
    build = releases()[name].released[name] if name in releases() else None
    if not hasattr(build, "keras_input"):
        raise _other_form(name, path, "a Keras")
    return build(read_keras_network(path, build.keras_input, outputs=1))


def _other_form(name: str, path: Path, what: str) -> FiqaError:
    return FiqaError(f"{path} is {what} model, and {name!r} comes in no such form", "name what it is")


READERS = {ONNX: _quality_of_onnx, KERAS: _of_keras}        # formats that hold more than tensors


DIFFUSION_REMEDY = ("run the stage that trains it (make repro), or give another path, such as the authors' "
                    "(python -m fiqa_core weights list)")


def save_diffusion(diffusion: nn.Module, path: Path) -> None:
    """Write {"config", "state"}, whole or not at all."""
    state = {key: value.detach().cpu() for key, value in diffusion.state_dict().items()}
    write_atomically({"config": diffusion.config, "state": state}, path)


def load_diffusion(path: str | Path) -> nn.Module:
    """A trained model, in eval mode and frozen: a file of `save_diffusion`, one that ships, or the published one,
    here or in the weights folder. Raises FiqaError for a missing, damaged or unfit file, with the keys at fault."""
    path = locate(path, DIFFUSION_REMEDY)
    if describes(path):
        return network_of(path)
    content = read_tensors(path)
    if "config" not in content:
        return load_official(path)
    return _fill(content["config"], content.get("state", {}), path)


def load_official(path: str | Path, **config) -> nn.Module:
    """The published `diff_pretrain.pt`: raw weights `model` (13 tables and `model.*`), not the EMA copy;
    config: arguments of `Diffusion` where the file is not of the published width. Raises FiqaError."""
    path = locate(path, DIFFUSION_REMEDY)
    content = read_tensors(path)
    if not isinstance(content.get("model"), dict):
        raise FiqaError(f"{path} is no diffusion checkpoint: it holds no `model`",
                        "give the authors' diff_pretrain.pt or a file that the stage diffusion wrote")
    return _fill(config, content["model"], path)


def _fill(config: dict, state: dict, path: Path) -> nn.Module:
    with Undrawn():
        diffusion = methods()["diffiqa"].released[DIFFUSION](**config)
    load_strictly(diffusion, state, f"{path} as a diffusion model")
    return diffusion.eval().requires_grad_(False)


def load_shipped(name: str) -> nn.Module:
    """A network that ships with the workbook, frozen: a recogniser by its name, or "diffusion". Raises FiqaError
    where there is none of that name, or its file is missing or not the one of the manifest."""
    return network_of(find_shipped(name).path)


def network_of(path: Path) -> nn.Module:
    """The network in a file of `shipped.write_network`, frozen. Raises FiqaError."""
    kind, config, state = read_network(path)
    if kind == "diffusion":
        return _fill(config, state, path)
    with Undrawn():
        recogniser = recogniser_from_config(config)
    load_strictly(recogniser.network, state, f"{path} as a recogniser")
    return recogniser.freeze()


PARTS = {"recogniser": "a recogniser", "diffusion": "a diffusion model", "model": "a model file"}


def load_method(name: str, recogniser: Recogniser | None = None, diffusion: Path | None = None,
                model: Path | None = None, device=None, precision: str = "float32", **options):
    """A quality method with its networks: images (B, 3, 112, 112) -> scores (B,).

    name        slug of a method, or name of the published file that `model` then is
    recogniser, diffusion, model   what methods need: a recogniser, and files of the others
    precision   "float32", "tf32" or "bf16", of methods that leave the choice; the others compute in float32
    options     of the method's class; a method with weights of its own has none
    Raises FiqaError for an unknown name or option and where a part is missing.
    """
    method = find_method(name)
    parts = {"recogniser": recogniser, "diffusion": diffusion, "model": model}
    for need in method.needs:
        if parts[need] is None:
            raise FiqaError(f"method {name} needs {PARTS[need]}",
                            "name it; `python -m fiqa_core score --help` lists the options")
    if "model" in method.needs:
        return with_precision(load_quality(name, model).to(device), precision)
    unknown = [option for option in options if option not in method.options()]
    if unknown:
        raise FiqaError(f"{name} has no option {', '.join(unknown)}", f"it has: {', '.join(method.options())}")
    options = typed(options, method.kinds(), name)
    options = {**({"precision": precision} if "precision" in method.options() else {}), **options}
    if diffusion is not None:
        parts["diffusion"] = load_diffusion(diffusion)
    return method.build(*(parts[need].to(device) for need in method.needs), **options)


# Names of other frameworks, what a file that does not fit here would fit, official files

CLOSE = 0.5                         # share of fitting keys from which an architecture is worth naming


@cache
def translators() -> tuple[Callable, ...]:
    """Functions that give tensors with foreign names those of our networks."""
    return (*TRANSLATORS, *(method.translate for method in methods().values() if method.translate))


def load_strictly(network: nn.Module, content: Mapping, what: str) -> None:
    """`fit.load_strictly` with the foreign names that are known here; the error also names the architectures
    that the file would fit instead."""
    try:
        fit.load_strictly(network, content, what, translators())
    except Unfit as error:
        raise FiqaError(error.problem, advice(content)) from None


def advice(content: Mapping) -> str:
    """What to do with an unfit file: load it as one of the architectures it fits, the largest first, or else
    look at the nearest."""
    fitting, shares = {}, {}
    for name in architectures():
        state = unwrap(content, outline(name), translators())
        wanted = needed(outline(name), state)
        same = sum(key in state and state[key].shape == value.shape for key, value in wanted.items())
        shares[name] = same / max(len(wanted), len(state))
        if not faults(state, wanted):
            fitting[name] = len(wanted)
    if fitting:
        names = sorted(fitting, key=fitting.get, reverse=True)
        return f"the file fits: {', '.join(names)}; load it under that name"
    best = max(shares.values())
    if best < CLOSE:
        return "it fits no known architecture; check that it holds the network itself"
    names = [name for name, share in shares.items() if share == best]
    return f"it fits no known architecture; nearest: {', '.join(names)}, with {best:.0%} of the keys"


@cache
def outline(name: str) -> dict[str, torch.Tensor]:
    """Keys and shapes of an architecture, on torch's meta device, so without memory for values."""
    with torch.device("meta"), Undrawn():
        return dict(architectures()[name]().state_dict())


def load_published(model: Model, path: Path) -> object:
    """The network of an official file, strictly: every key and shape has to fit. Raises FiqaError otherwise.
    Where the workbook has no such network, the tensors of the file."""
    if model.architecture is None:
        return read_tensors(path)
    if model.kind == "recogniser":
        return load_recogniser(model.architecture, path)
    if model.kind == "quality":
        return load_quality(model.architecture, path)
    return load_diffusion(path) if model.kind == "diffusion" else load_detector(path)
