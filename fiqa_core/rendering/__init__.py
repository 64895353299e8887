"""Faces the project renders itself: the true identity and the true cause of every quality loss are known."""
from fiqa_core.rendering.benchmarks import rendered_benchmark, rendered_training_set
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.protocol import BENCHMARKS, load_protocol
from fiqa_core.rendering.renderer import render_faces
from fiqa_core.rendering.sheet import contact_sheet

__all__ = ["BENCHMARKS", "contact_sheet", "load_protocol", "render_faces", "rendered_benchmark",
           "rendered_training_set", "sample_identities"]
