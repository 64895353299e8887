"""Slug -> display name of quality methods: slugs name files and stages, display names fill tables."""

# Those that the pipeline trains, scores and compares.
METHODS = {
    "faceqan": "FaceQAN",
    "diffiqa": "DifFIQA",
    "diffiqa_r": "DifFIQA(R)",
    "ediffiqa_t": "eDifFIQA(T)",
    "ediffiqa_s": "eDifFIQA(S)",
    "ediffiqa_m": "eDifFIQA(M)",
    "ediffiqa_l": "eDifFIQA(L)",
}
# Those that need a recogniser and no training, and those that need neither.
TRAINING_FREE = {"magface": "MagFace", "ser_fiq": "SER-FIQ", "grafiqs": "GraFIQs", "prefiqs": "PreFIQs"}
REFERENCE_LINES = {"sharpness": "Sharpness", "illumination": "Illumination", "symmetry": "Symmetry"}
