"""Names, order and looks of quality methods: one row each, in the order of the papers' tables.

A method that has no row prints its own name, behind those that have one, in a neutral colour.
"""
from dataclasses import dataclass

from fiqa_core.evaluation.edc import REFERENCES


@dataclass(frozen=True)
class Look:
    """Colour, dashes (lengths of strokes and gaps, "" for none) and marker of one method in every figure."""

    colour: str
    dash: object
    marker: str


SOLID, DASHED, DOTTED, DASHDOT = "", (5, 2), (1.2, 1.4), (6, 2, 1.2, 2)
LABELS, RECOGNISER = "learnt from labels", "learnt with the recogniser"
REACTION, RECONSTRUCTION = "reaction of the recogniser", "reconstruction"
EDIFFIQA, NEWER = "eDifFIQA", "newer, without training"
PIXELS, REFERENCE = "measures of the pixels", "references"
GREY = "#9a9a9a"
# Slug (of files and stages; none where nothing here scores), printed name, which methods work alike, and the
# look: one hue per family, dash and marker within it. Hues after Okabe and Ito, for colour-blind readers; the
# sizes of eDifFIQA go from light (small) to dark (large). No code or weights of FaceQgen are public.
ROWS = (
    ("faceqnet", "FaceQnet", LABELS, "#C29A4B", DOTTED, "8"),
    ("sdd_fiqa", "SDD-FIQA", LABELS, "#8C6D1F", SOLID, ">"),
    ("pfe", "PFE", RECOGNISER, "#DDA0C8", DOTTED, "p"),
    ("pcnet", "PCNet", LABELS, "#A6761D", DASHED, "h"),
    ("magface", "MagFace", RECOGNISER, "#CC79A7", DASHED, "<"),
    ("lightqnet", "LightQNet", LABELS, "#5E4206", DASHDOT, "d"),
    ("ser_fiq", "SER-FIQ", REACTION, "#56B4E9", DASHED, "X"),
    ("faceqan", "FaceQAN", REACTION, "#0072B2", SOLID, "o"),
    ("cr_fiqa", "CR-FIQA", RECOGNISER, "#882255", SOLID, "*"),
    ("", "FaceQgen", RECONSTRUCTION, "#F0B27A", DASHDOT, "H"),
    ("faceqgen", "FaceQgen (re-interpretation)", RECONSTRUCTION, "#F0B27A", DOTTED, "H"),
    ("diffiqa", "DifFIQA", RECONSTRUCTION, "#D55E00", SOLID, "s"),
    ("diffiqa_r", "DifFIQA(R)", RECONSTRUCTION, "#E69F00", DASHED, "D"),
    ("ediffiqa_t", "eDifFIQA(T)", EDIFFIQA, "#A9DDCB", DASHDOT, "<"),
    ("ediffiqa_s", "eDifFIQA(S)", EDIFFIQA, "#66C2A4", DOTTED, "^"),
    ("ediffiqa_m", "eDifFIQA(M)", EDIFFIQA, "#1B9E77", DASHED, "v"),
    ("ediffiqa_l", "eDifFIQA(L)", EDIFFIQA, "#00513A", SOLID, "P"),
    ("froq", "FROQ", NEWER, "#5E3C99", SOLID, "p"),
    ("grafiqs", "GraFIQs", NEWER, "#8073AC", DASHED, "h"),
    ("prefiqs", "PreFIQs", NEWER, "#B2ABD2", DASHDOT, "d"),
    ("sharpness", "Sharpness", PIXELS, "#333333", SOLID, "s"),
    ("illumination", "Illumination", PIXELS, "#333333", DASHED, "^"),
    ("symmetry", "Symmetry", PIXELS, "#333333", DOTTED, "D"),
    ("", "random", REFERENCE, GREY, DASHED, "."),
    ("", "oracle", REFERENCE, GREY, DOTTED, "."),
)
METHODS = {slug: name for slug, name, *_ in ROWS if slug}
LOOKS = {name: Look(*row) for _, name, _, *row in ROWS}
FAMILIES = {family: [name for _, name, own, *_ in ROWS if own == family]
            for family in (LABELS, RECOGNISER, REACTION, RECONSTRUCTION, EDIFFIQA, NEWER, PIXELS, REFERENCE)}
OTHER = Look("#444444", DASHDOT, "o")
OF_THE_PAPERS = ("FaceQAN", "DifFIQA", "DifFIQA(R)", *FAMILIES[EDIFFIQA])  # what the three papers propose
# What figures of a few methods show: the papers' own and those they are mostly compared with.
FOCUS = ("SER-FIQ", "CR-FIQA", "FaceQAN", "DifFIQA", "DifFIQA(R)", "eDifFIQA(S)", "eDifFIQA(M)",
         "eDifFIQA(L)")
FLAWS = " (flaws)"  # behind the name of a method that learned from the benchmarks' kinds of flaw


def name_of(slug: str) -> str:
    """The name of a method by its slug, "PFE (flaws)" of "pfe_flaws"; "" for a slug without a row."""
    name = METHODS.get(slug.removesuffix("_flaws"), "")
    return name + FLAWS if name and slug.endswith("_flaws") else name


def plain_name(method: str) -> str:
    """The name of a method under whichever protocol it was trained: "PFE" of "PFE (flaws)"."""
    return method.removesuffix(FLAWS)


def look(method: str) -> Look:
    """The look of `method`: the neutral one for a method without a row, a colour ("#0072B2") for itself.

    One that was trained on flaws looks like itself, with finer dots for its line.
    """
    own = LOOKS.get(plain_name(method), Look(method, SOLID, "o") if method.startswith("#") else OTHER)
    return Look(own.colour, (1, 2.5), own.marker) if method.endswith(FLAWS) else own


def order_methods(methods) -> list[str]:
    """`methods` without repeats in the papers' order, then the others by name, random and oracle last."""
    found = set(methods)
    own = [name for row in LOOKS if row not in REFERENCES for name in (row, row + FLAWS) if name in found]
    references = [name for name in REFERENCES if name in found]
    return own + sorted(found - set(own) - set(references)) + references


def focus(methods, wanted=()) -> list[str]:
    """The methods that a figure with room for few should show, in the papers' order.

    wanted  names to show, without those not among `methods`; nothing: FOCUS, or all if none is there
    """
    found = set(methods)
    return order_methods(found & set(wanted or FOCUS) or found)
