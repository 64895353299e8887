"""Reading and writing a recogniser's weights: strict about keys and shapes, safe about pickles."""
import os
from pathlib import Path
from pickle import UnpicklingError

import torch

from fiqa_core import project
from fiqa_core.errors import FiqaError
from fiqa_core.recognisers.catalogue import CATALOGUE, recogniser_from_catalogue, recogniser_from_config
from fiqa_core.recognisers.interface import Recogniser

WRAPPERS = ("state_dict", "net_state_dict", "state_dict_backbone", "model")
PREFIXES = ("module.", "model.", "features.module.", "module.features.", "base_model.")
FORMAT = "fiqa recogniser 1"


def load_recogniser(name: str, path: str | Path | None = None) -> Recogniser:
    """A trained recogniser, frozen and in evaluation mode.

    name  an architecture of the catalogue, whose official checkpoint `path` then is; or the slug of a
          recogniser that the pipeline trained
    path  checkpoint; None means build/recognisers/<name>.pt, written by the pipeline. A file that the
          pipeline wrote is rebuilt from the configuration inside it, whatever `name` is.
    Raises FiqaError if the file is missing, unsafe, or does not fit, and says which keys are at fault.
    """
    path = project.build() / "recognisers" / f"{name}.pt" if path is None else Path(path)
    if not path.is_file():
        raise FiqaError(f"recogniser {name}: {path} is not there",
                        "run make repro, which trains the recognisers, or give the path of a checkpoint")
    content = read_checkpoint(path)
    if content.get("format") == FORMAT:
        recogniser, state = recogniser_from_config(content["config"]), content["state"]
    else:
        if name not in CATALOGUE:
            raise FiqaError(f"{path} was not written by this project and {name!r} is no known architecture",
                            f"name the architecture it belongs to: {', '.join(CATALOGUE)}")
        recogniser, state = recogniser_from_catalogue(name), unwrap(content)
    load_strictly(recogniser.network, state, f"{path} as {name}")
    return recogniser.freeze()


def save_recogniser(recogniser: Recogniser, path: Path) -> None:
    """Write weights and the configuration that rebuilds the network to `path`, whole or not at all."""
    if recogniser.config is None:
        raise FiqaError(f"{path}: this recogniser has no configuration to rebuild it from",
                        "build it with load_recogniser or train_recogniser, or pass config= to Recogniser")
    state = {key: value.detach().cpu().contiguous() for key, value in recogniser.network.state_dict().items()}
    write_atomically({"format": FORMAT, "config": recogniser.config, "state": state}, path)


def write_atomically(content: dict, path: Path) -> None:
    """torch.save that leaves either the old file or the complete new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def read_checkpoint(path: Path) -> dict:
    """The dict in a torch file, on the CPU, tensors and plain containers only; FiqaError otherwise."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise FiqaError(f"{path} is not a file of plain tensors, loading it could run code: "
                        f"{str(error).splitlines()[0]}",
                        "save its state dict alone, on a machine you can afford to lose") from None
    except (RuntimeError, EOFError, OSError) as error:
        raise FiqaError(f"{path} is damaged or no torch checkpoint: {str(error).partition('.')[0]}",
                        "fetch the file again and compare its size") from None
    if not isinstance(content, dict):
        raise FiqaError(f"{path} holds a {type(content).__name__}, not a state dict",
                        "save model.state_dict()")
    return content


def unwrap(content: dict) -> dict:
    """The network's state dict inside an official file, without wrappers and prefixes.

    Where keys carry one of the known prefixes, only those with the prefix are kept: the rest belongs to
    the loss head.
    """
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            return unwrap(content[wrapper])
    for prefix in sorted(PREFIXES, key=len, reverse=True):
        inside = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        if inside:
            return unwrap(inside)
    return content


def load_strictly(network, state: dict, what: str) -> None:
    """Copy `state` into the network; FiqaError names missing, unexpected and mis-shaped keys."""
    wanted = network.state_dict()
    shapes = [f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}" for key in wanted
              if key in state and state[key].shape != wanted[key].shape]
    faults = [summary("missing", [key for key in wanted if key not in state], wanted),
              summary("unexpected", [key for key in state if key not in wanted], state),
              summary("mis-shaped", shapes, wanted)]
    if any(faults):
        raise FiqaError(f"{what}: " + "; ".join(filter(None, faults)),
                        "check that the file belongs to this architecture and size")
    network.load_state_dict(state)


def summary(kind: str, keys: list[str], everything: dict, shown: int = 4) -> str:
    """'3 missing of 187: a, b, c', or nothing where no key is at fault."""
    if not keys:
        return ""
    more = ", ..." if len(keys) > shown else ""
    return f"{len(keys)} {kind} of {len(everything)}: {', '.join(keys[:shown])}{more}"
