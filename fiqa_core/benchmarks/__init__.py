"""Images and comparison pairs in one form, whatever they came from: rendered faces or photographs."""
from fiqa_core.benchmarks.tables import FaceSet, load_face_set

__all__ = ["FaceSet", "load_face_set"]
