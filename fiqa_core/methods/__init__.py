"""The quality methods, one file each, and what they share: noise, batching, training."""
from fiqa_core.methods.diffiqa import DifFIQA
from fiqa_core.methods.distilled import CRFIQA, DifFIQAR, EDifFIQA
from fiqa_core.methods.faceqan import FaceQAN
from fiqa_core.methods.lightqnet import LightQNet

__all__ = ["CRFIQA", "DifFIQA", "DifFIQAR", "EDifFIQA", "FaceQAN", "LightQNet"]
