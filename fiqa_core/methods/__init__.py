"""The quality methods, one file each, and what they share: noise, batching, training."""
from fiqa_core.methods.diffiqa import DifFIQA
from fiqa_core.methods.distilled import DifFIQAR, EDifFIQA
from fiqa_core.methods.faceqan import FaceQAN

__all__ = ["DifFIQA", "DifFIQAR", "EDifFIQA", "FaceQAN"]
