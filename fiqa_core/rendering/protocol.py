"""Protocol files: which persons, images and comparisons make up a rendered benchmark."""
from pathlib import Path

import yaml

from fiqa_core.errors import FiqaError
from fiqa_core.rendering.nuisance import CAUSES

BENCHMARKS = ("lfw", "calfw", "cplfw", "cfp_fp", "xqlfw", "adience", "ijb_c", "ytf")
FOLDER = Path(__file__).resolve().parents[1] / "inputs" / "protocols"
_KEYS = {"name", "identities", "pairs", "groups", "templates"}


def load_protocol(path: str | Path) -> dict:
    """Read a protocol file, or one shipped with the package by its short name ("lfw", "training").

    Keys: name; identities; groups: name -> {images per identity, nuisance, drift}; pairs: {genuine,
    impostor, across: [group, group]}; templates: list of templates per identity, each a list of groups.
    Raises FiqaError if the file is missing or does not make sense.
    """
    path = Path(path)
    if path.suffix == "":
        path = FOLDER / f"{path}.yaml"
    if not path.is_file():
        raise FiqaError(f"protocol {path} is missing", "use one of " + ", ".join((*BENCHMARKS, "training")))
    protocol = yaml.safe_load(path.read_text())
    check_protocol(protocol, str(path))
    return protocol


def check_protocol(protocol: dict, source: str = "protocol") -> None:
    """Raise FiqaError, naming `source`, unless the protocol is complete and its groups and causes known."""
    problems = [f"{key} is missing" for key in ("name", "identities", "groups") if key not in protocol]
    problems += [f"{key} is not a protocol key" for key in set(protocol) - _KEYS]
    groups = protocol.get("groups", {})
    named = {group for template in protocol.get("templates", []) for group in template}
    named |= set(protocol.get("pairs", {}).get("across", []))
    problems += [f"group {group} is used but not described" for group in sorted(named - set(groups))]
    for name, group in groups.items():
        causes = set(group.get("nuisance", {})) | set(group.get("drift", {}))
        problems += [f"group {name}: unknown cause {cause}" for cause in sorted(causes - set(CAUSES))]
        if "images" not in group and "templates" not in protocol:
            problems.append(f"group {name}: number of images is missing")
    if problems:
        raise FiqaError(f"{source}: " + "; ".join(problems), "compare with data/protocols/lfw.yaml")
