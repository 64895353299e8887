"""The networks that ship with the workbook, in `fiqa_core/inputs/networks`: files, their manifest, their digests.

A file is a safetensors file: what is trained in half precision, everything else as it is, and a description of the
network as its metadata. `manifest.csv` says of every file what it is, whence it comes and what it can do; they are
trained by the suite `pretrain` and written by `python -m fiqa_core ship`. torch and pandas are imported where they are
needed: `weights list` does without.
"""
import csv
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from fiqa_core.base.errors import FiqaError

FOLDER = Path(__file__).resolve().parents[1] / "inputs" / "networks"
MANIFEST = "manifest.csv"
LICENCE = "MIT, the project's"
REMEDY = ("restore fiqa_core/inputs/networks as it was published (git checkout -- fiqa_core/inputs/networks), or train "
          "the networks again: make repro SUITE=pretrain, then python -m fiqa_core ship")


@dataclass(frozen=True)
class Shipped:
    """A row of the manifest; figures are text, "" where a network has none.

    kind         recogniser or diffusion
    people, images, protocol    of the faces it learnt from
    accuracy, fnmr_fmr1e2, fnmr_fmr1e3   verification of people held out, over `genuine` and `impostor` pairs
    command, commit   what trained it, in which state of the project
    """

    name: str
    kind: str
    sha256: str
    parameters: str
    people: str
    images: str
    protocol: str
    accuracy: str
    fnmr_fmr1e2: str
    fnmr_fmr1e3: str
    genuine: str
    impostor: str
    command: str
    commit: str

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.safetensors"


def shipped() -> dict[str, Shipped]:
    """Every network of the manifest by its name; none where nothing ships. Raises FiqaError for a damaged manifest."""
    path = FOLDER / MANIFEST
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return {row["name"]: Shipped(**row) for row in rows}
    except TypeError as error:
        raise FiqaError(f"{path} is damaged: {error}", REMEDY) from None


def write_manifest(networks: dict[str, Shipped]) -> None:
    """Write the manifest, in the order given."""
    from fiqa_core.base.files import replacing 
    with replacing(FOLDER / MANIFEST) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Shipped)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(network) for network in networks.values())


def find_shipped(name: str) -> Shipped:
    """The network of a name, once its file is the one of the manifest. Raises FiqaError where it is not, or none is."""
    from fiqa_core.base.files import sha256
    known = shipped()
    if name not in known:
        raise FiqaError(f"no network {name!r} ships with the workbook",
                        f"choose one of: {', '.join(known)}" if known else REMEDY)
    network = known[name]
    if not network.path.is_file():
        raise FiqaError(f"the network {name} is missing: {network.path}", REMEDY)
    if sha256(network.path) != network.sha256:
        raise FiqaError(f"{network.path} is damaged or another file than the manifest names", REMEDY)
    return network


def write_network(network, kind: str, config: dict, path: Path) -> None:
    """Write a network: parameters in half precision, buffers as they are. Raises FiqaError where one is too large."""
    from safetensors.torch import save_file

    from fiqa_core.base.files import replacing
    trained = dict(network.named_parameters())
    tensors = {name: (value.detach().cpu().half() if name in trained else value.detach().cpu()).clone().contiguous()
               for name, value in network.state_dict().items()}
    wild = [name for name, value in tensors.items() if not value.isfinite().all()]
    if wild:
        raise FiqaError(f"{path.name}: {wild[0]} is not finite in half precision",
                        "train it with more weight decay or a lower learning rate")
    with replacing(path) as part:
        save_file(tensors, part, {"fiqa": json.dumps({"kind": kind, "config": config}, sort_keys=True)})
        part.chmod(0o644)                   # safetensors writes for the owner alone


def describes(path: Path) -> bool:
    """Whether a file is one of `write_network`, as its metadata tells."""
    return Path(path).suffix == ".safetensors" and Path(path).is_file() and _facts(path) is not None


def config_of(name: str) -> dict:
    """What rebuilds a network that ships. Raises FiqaError where it is not there as the manifest names it."""
    return _facts(find_shipped(name).path)["config"]


def _facts(path: Path) -> dict | None:
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {}).get("fiqa", "null"))
    except (SafetensorError, OSError):
        return None


def read_network(path: Path) -> tuple[str, dict, dict]:
    """(kind, config, state in single precision) of a file that `write_network` wrote. Raises FiqaError."""
    from torch import half

    from fiqa_core.weights.formats.arrays import read_safetensors
    facts = _facts(path)
    if facts is None:
        raise FiqaError(f"{path} is damaged, or does not say which network it holds", REMEDY)
    return facts["kind"], facts["config"], {name: value.float() if value.dtype == half else value
                                            for name, value in read_safetensors(path).items()}
