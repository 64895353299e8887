"""Benchmarks and training sets in the forms in which they are given out, one loader per form.

Every loader takes the set's name and its paths, checks what it finds against what was published, and
returns a `Listing`: which images there are, how each is read, which are compared. What was published is
the module's FACTS. Two options mean the same in every form:
    aligned        None: 112 x 112 pictures are aligned crops, others are photographs
    allow_missing  leave out images that are not there, and the pairs that need them, with notes
"""
import inspect
import sys
from collections.abc import Callable

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders.adience import adience
from fiqa_core.benchmarks.loaders.calfw import calfw
from fiqa_core.benchmarks.loaders.cfp import cfp
from fiqa_core.benchmarks.loaders.cplfw import cplfw
from fiqa_core.benchmarks.loaders.folders import folders
from fiqa_core.benchmarks.loaders.ijbc import ijbc
from fiqa_core.benchmarks.loaders.ijbc_nist import ijbc_nist
from fiqa_core.benchmarks.loaders.insightface_bin import insightface_bin
from fiqa_core.benchmarks.loaders.lfw import lfw
from fiqa_core.benchmarks.loaders.listing import Facts, Listing
from fiqa_core.benchmarks.loaders.orl import orl
from fiqa_core.benchmarks.loaders.recordio import recordio
from fiqa_core.benchmarks.loaders.xqlfw import xqlfw
from fiqa_core.benchmarks.loaders.ytf import ytf

__all__ = ["FORMS", "PATH_OPTIONS", "facts", "form_options", "load_listing"]

FORMS: dict[str, Callable[..., Listing]] = {"lfw": lfw, "xqlfw": xqlfw, "calfw": calfw, "cplfw": cplfw,
    "cfp": cfp, "insightface_bin": insightface_bin, "folders": folders, "adience": adience, "ytf": ytf,
    "ijbc": ijbc, "ijbc_nist": ijbc_nist, "recordio": recordio, "orl": orl}
# those that suites give relative to the project
PATH_OPTIONS = ("folder", "file", "pairs", "images", "scores", "meta", "splits")


def load_listing(form: str, name: str, **options) -> Listing:
    """The benchmark `name` ("CFP-FP"), or "training", read by the loader of `form` with its options.

    Raises FiqaError for an unknown form, an option that it lacks or needs, and whatever the loader finds.
    """
    known, needed = form_options(form)
    wrong = [option for option in options if option not in known]
    absent = [option for option in needed if option not in options]
    if wrong or absent:
        what = f"has no option {', '.join(wrong)}" if wrong else f"needs the option {', '.join(absent)}"
        raise FiqaError(f"{name}: form {form} {what}", f"its options are {', '.join(known)}")
    return FORMS[form](name, **options)


def form_options(form: str) -> tuple[list[str], list[str]]:
    """All options of a form, and those without a default. Raises FiqaError for an unknown form."""
    parameters = list(inspect.signature(_loader(form)).parameters.values())[1:]
    return [p.name for p in parameters], [p.name for p in parameters if p.default is p.empty]


def facts(form: str, where: str = "") -> Facts:
    """What is published about a form. Raises FiqaError that says `where` it stands for an unknown one."""
    return sys.modules[_loader(form, where).__module__].FACTS


def _loader(form: str, where: str = "") -> Callable[..., Listing]:
    if form not in FORMS:
        raise FiqaError(f"{where}: no form is called {form!r}".removeprefix(": "), "choose from "
                                                                                   f"{', '.join(FORMS)}")
    return FORMS[form]
