"""Which quality methods there are: whatever the files of `kernels` and `methods` declare as METHODS."""
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from fiqa_core import kernels
from fiqa_core import methods as quality_methods
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.method import SECTIONS, Method

FLAWS = "flaws"     # the protocol of training faces that spoils them in the ways of the benchmarks


@cache
def methods() -> dict[str, Method]:
    """Every method by its slug. Raises FiqaError where two have one slug."""
    return {slug: method for slug, (method, _) in _declared().items()}


def home(slug: str) -> str:
    """The module that declares a method."""
    return _declared()[slug][1]


@cache
def _declared() -> dict[str, tuple[Method, str]]:
    found = collect(kernels, quality_methods)
    return {**found, **{f"{slug}_{FLAWS}": (again(method), file) for slug, (method, file) in found.items()
                        if method.training}}


def again(method: Method) -> Method:
    """A method that learns, once more: from faces with the benchmarks' kinds of flaw."""
    return replace(method, slug=f"{method.slug}_{FLAWS}", name=f"{method.name} ({FLAWS})", protocol=FLAWS, released={})


def collect(*packages) -> dict[str, tuple[Method, str]]:
    """The methods that the files of some packages declare, and in which module each, by slug."""
    found = {}
    for package in packages:
        for file in iter_modules(package.__path__, package.__name__ + "."):
            for method in getattr(import_module(file.name), "METHODS", ()):
                if found.setdefault(method.slug, (method, file.name))[0] is not method:
                    raise FiqaError(f"two methods are called {method.slug!r}", f"rename the one in {file.name}")
    return found


@cache
def releases() -> dict[str, Method]:
    """Name of a published file that is a method -> that method; most names are its slug."""
    return {name: method for method in methods().values() if "model" in method.needs for name in method.released}


def methods_of(suite: dict, *sections: str) -> dict[str, dict]:
    """The methods that a suite names in some sections (none given: in all), by slug: what it says about them."""
    return {slug: entry or {} for section in sections or SECTIONS for slug, entry in (suite.get(section) or {}).items()}


def find_method(name: str) -> Method:
    """The method of a slug, or of the name of its published file. Raises FiqaError with names like it."""
    known = {**releases(), **methods()}
    if name not in known:
        near = get_close_matches(name, known, n=4) or known
        raise FiqaError(f"there is no method {name!r}", f"choose one of: {', '.join(near)}")
    return known[name]
