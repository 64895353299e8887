"""Face recognition networks: architectures, checkpoints, loss heads, training, embedding."""
from fiqa_core.recognisers.catalogue import build_model
from fiqa_core.recognisers.checkpoints import load_recogniser, save_recogniser
from fiqa_core.recognisers.interface import Recogniser, cosine

__all__ = ["Recogniser", "build_model", "cosine", "load_recogniser", "save_recogniser"]
