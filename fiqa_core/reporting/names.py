"""Slug -> display name of quality methods: slugs name files and stages, display names fill tables."""

# The fifteen methods of the papers' tables in their order, with eDifFIQA's smallest variant.
PAPERS = {
    "faceqnet": "FaceQnet",
    "sdd_fiqa": "SDD-FIQA",
    "pfe": "PFE",
    "pcnet": "PCNet",
    "magface": "MagFace",
    "lightqnet": "LightQNet",
    "ser_fiq": "SER-FIQ",
    "faceqan": "FaceQAN",
    "cr_fiqa": "CR-FIQA",
    "faceqgen": "FaceQgen (re-interpretation)",     # no official code or weights are public
    "diffiqa": "DifFIQA",
    "diffiqa_r": "DifFIQA(R)",
    "ediffiqa_t": "eDifFIQA(T)",
    "ediffiqa_s": "eDifFIQA(S)",
    "ediffiqa_m": "eDifFIQA(M)",
    "ediffiqa_l": "eDifFIQA(L)",
}
# Newer ones, which need nothing but a recogniser.
NEWER = {"froq": "FROQ", "grafiqs": "GraFIQs", "prefiqs": "PreFIQs"}
# What anybody would try first: measures of the pixels.
REFERENCE_LINES = {"sharpness": "Sharpness", "illumination": "Illumination", "symmetry": "Symmetry"}
METHODS = {**PAPERS, **NEWER, **REFERENCE_LINES}
