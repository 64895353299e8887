"""Evaluation: error-versus-discard curves, verification, templates, intervals, references, correlation."""
from fiqa_core.evaluation.edc import PRESETS, ErrorDiscardCurve, edc
from fiqa_core.evaluation.verification import Verification, verification

__all__ = ["PRESETS", "ErrorDiscardCurve", "Verification", "edc", "verification"]
