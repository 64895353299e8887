"""Slug -> display name of every quality method: slugs name files and stages, display names fill tables."""

METHODS = {
    "faceqan": "FaceQAN",
    "diffiqa": "DifFIQA",
    "diffiqa_r": "DifFIQA(R)",
    "ediffiqa_t": "eDifFIQA(T)",
    "ediffiqa_s": "eDifFIQA(S)",
    "ediffiqa_m": "eDifFIQA(M)",
    "ediffiqa_l": "eDifFIQA(L)",
}
