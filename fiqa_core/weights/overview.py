"""What `weights list` prints: all official checkpoints, or everything about one."""
from textwrap import fill

from fiqa_core.weights import presence
from fiqa_core.weights.catalogue import COMMAND, KINDS, Model, models
from fiqa_core.weights.place import weights_folder
from fiqa_core.weights.shipped import LICENCE, Shipped, shipped

GITHUB = "https://github.com/"
TITLES = {"recogniser": "recognisers", "quality": "quality networks", "diffusion": "diffusion models",
          "detector": "face detectors"}


def table() -> str:
    """All models by kind: slug, state, size, licence and how to get each, as aligned text."""
    rows = [("", "state", "size", "licence", "how to get it")]
    for kind in KINDS:
        rows += [(f"{TITLES[kind]}:", "", "", "", "")]
        rows += [row(model) for model in models().values() if model.kind == kind]
    rows += [("shipped with the workbook:", "", "", "", "verification of people held out")]
    rows += [own_row(network) for network in shipped().values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
             for line in rows]
    return "\n".join([f"weights folder: {weights_folder()}", "", *lines, "",
                      "by hand: a repository on GitHub, where its README says",
                      f"everything about one:  {COMMAND} list SLUG",
                      f"a file you have:       {COMMAND} add SLUG FILE"])


def row(model: Model) -> tuple[str, ...]:
    """A model's line of the table."""
    get = "weights fetch" if model.fetchable else f"by hand: {model.source.page.removeprefix(GITHUB)}"
    return f"  {model.slug}", presence.state_of(model), size(model), model.source.licence, get


def own_row(network: Shipped) -> tuple[str, ...]:
    """The line of a network that ships: in place of how to get it, how well it verifies."""
    found = network.path.is_file()
    held = f"{network.path.stat().st_size / 1e6:.1f} MB" if found else "?"
    figures = (f"accuracy {network.accuracy}, FNMR {network.fnmr_fmr1e3} at FMR 1e-3" if network.accuracy else "-")
    return f"  {network.name}", "here" if found else "missing", held, LICENCE, figures


def own_details(network: Shipped) -> str:
    """Everything the manifest says about a network that ships, one fact per line."""
    load = f'fiqa_core.load_shipped("{network.name}")'
    facts = {"kind": network.kind, "licence": LICENCE, "file": network.path, "sha256": network.sha256,
             "parameters": f"{int(network.parameters):,}",
             "trained on": f"{network.images} images of {network.people} rendered people, protocol {network.protocol}",
             "trained by": f"{network.command}, commit {network.commit or 'unknown'}",
             "verification": network.accuracy and (
                 f"people held out, {network.genuine} genuine and {network.impostor} impostor pairs: accuracy "
                 f"{network.accuracy}, FNMR {network.fnmr_fmr1e2} at FMR 1e-2, {network.fnmr_fmr1e3} at FMR 1e-3"),
             "to use it": load}
    return "\n".join([network.name, *(f"  {name:<12}  {fact}" for name, fact in facts.items() if fact)])


def size(model: Model) -> str:
    """Size of the file that is here, or of the published one, in MB; "?" where nobody stated it."""
    path = presence.path_of(model)
    known = path.stat().st_size if path.is_file() else model.size
    return f"{known / 1e6:.1f} MB" if known else "?"


def details(model: Model) -> str:
    """Everything the catalogue knows about a model, one fact per line."""
    source = model.source
    facts = {
        "paper": fill(source.paper, 92, subsequent_indent=" " * 16),
        "reference": source.reference(),
        "page": source.page,
        "licence": f"{source.licence}. {source.terms or ''}",
        "trained on": model.trained_on,
        "architecture": f"{model.architecture or 'none here yet'} ({model.kind})",
        "file": presence.path_of(model),
        "size": f"{model.size:,} bytes" if model.size else "not stated",
        "sha256": _digest(model),
        "state": presence.state_of(model),
        "comes from": model.origin if model.fetchable else None,
        "by hand": None if model.fetchable else source.get,
        "to get it": model.command(),
        "to use it": usage(model),
        "note": model.note,
    }
    return "\n".join([model.slug, *(f"  {name:<12}  {fact}" for name, fact in facts.items() if fact)])


def usage(model: Model) -> str:
    """The line of Python or the option that uses the model's file."""
    if model.architecture is None:
        return f'fiqa_core.weights.tensors.read_tensors("{model.file}")'
    if model.kind == "detector":
        return f"python -m fiqa_core score ... --detector {model.slug}"
    load = {"recogniser": "load_recogniser", "quality": "load_quality"}.get(model.kind)
    if load is None:
        return f'fiqa_core.load_diffusion("{model.file}")'
    return f'fiqa_core.{load}("{model.architecture}", "{model.file}")'


def loads(model: Model) -> str:
    """What loading the model's file has shown."""
    return f"loads as {model.architecture}" if model.architecture else "its tensors are read"


def _digest(model: Model) -> str:
    if model.sha256 is None:
        return "not stated; recorded when the file is added or checked"
    return model.sha256 if len(model.sha256) == 64 else f"{model.sha256}... (only this much is known)"
