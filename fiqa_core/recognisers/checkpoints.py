"""Recognisers in files: the authors' checkpoints, and those that the pipeline writes."""
from pathlib import Path

import torch

from fiqa_core import project
from fiqa_core.errors import FiqaError
from fiqa_core.recognisers.catalogue import (
    CATALOGUE,
    entry,
    recogniser_from_catalogue,
    recogniser_from_config,
)
from fiqa_core.recognisers.interface import Recogniser
from fiqa_core.weights.fit import Undrawn, load_strictly
from fiqa_core.weights.formats.pytorch import write_atomically
from fiqa_core.weights.tensors import ONNX, locate, read_tensors, recognise

FORMAT = "fiqa recogniser 1"


def load_recogniser(name: str, path: str | Path | None = None) -> Recogniser:
    """A trained recogniser, frozen and in evaluation mode.

    name  an architecture of the catalogue, whose official checkpoint `path` then is; or the slug of a
          recogniser that the pipeline trained
    path  checkpoint in any format of `fiqa_core.weights`, here or in the weights folder; an ONNX model has no
          gradients. None means build/recognisers/<name>.pt, written by the pipeline. A file that the
          pipeline wrote is rebuilt from the configuration inside it, whatever `name` is.
    Raises FiqaError if the file is missing, unsafe, or does not fit; it says which keys are at fault and
    which architecture they would fit.
    """
    path = _trained(name) if path is None else locate(path)
    if recognise(path) is ONNX:
        return _of_onnx(name, path)
    content = read_tensors(path)
    if content.get("format") == FORMAT and "onnx" in content["config"]:
        return _of_onnx(content["config"]["onnx"], path, content["state"]["onnx"].numpy().tobytes())
    with Undrawn():
        if content.get("format") == FORMAT:
            recogniser, content = recogniser_from_config(content["config"]), content["state"]
        else:
            recogniser = recogniser_from_catalogue(_known(name, path))
    load_strictly(recogniser.network, content, f"{path} as {name}")
    return recogniser.freeze()


def save_recogniser(recogniser: Recogniser, path: Path) -> None:
    """Write weights and the configuration that rebuilds the network to `path`, whole or not at all.

    Of a recogniser in ONNX the model itself is written, which is both.
    """
    if recogniser.config is None:
        raise FiqaError(f"{path}: this recogniser has no configuration to rebuild it from",
                        "build it with load_recogniser or train_recogniser, or pass config= to Recogniser")
    state = {key: value.detach().cpu().contiguous() for key, value in recogniser.network.state_dict().items()}
    if "onnx" in recogniser.config:
        state = {"onnx": torch.frombuffer(bytearray(recogniser.network.content), dtype=torch.uint8)}
    write_atomically({"format": FORMAT, "config": recogniser.config, "state": state}, path)


def _trained(name: str) -> Path:
    path = project.build() / "recognisers" / f"{name}.pt"
    if not path.is_file():
        raise FiqaError(f"recogniser {name}: {path} is not there",
                        "run make repro, which trains the recognisers, or give the path of a checkpoint")
    return path


def _known(name: str, path: Path) -> str:
    if name not in CATALOGUE:
        raise FiqaError(f"{path} was not written by this project and {name!r} is no known architecture",
                        f"name the architecture it belongs to: {', '.join(CATALOGUE)}")
    return name


def _of_onnx(name: str, path: Path, content: bytes | None = None) -> Recogniser:
    from fiqa_core.weights.onnx_models import ONNX_RECOGNISERS, onnx_recogniser
    if name in ONNX_RECOGNISERS:
        arguments = ONNX_RECOGNISERS[name]
    else:
        arguments = {key: value for key, value in vars(entry(_known(name, path))).items() if key != "build"}
    return onnx_recogniser(path, content=content or path.read_bytes(), config={"onnx": name}, **arguments)
