"""Face image quality assessment: FaceQAN, DifFIQA, eDifFIQA, and what is needed to compare them.

The public names load on first use, so that `import fiqa_core` costs nothing before a kernel is asked for.
"""
from importlib import import_module

_HOMES = {
    "FaceQAN": "fiqa_core.kernels.faceqan",
    "DifFIQA": "fiqa_core.kernels.diffiqa",
    "DifFIQAR": "fiqa_core.kernels.diffiqa",
    "EDifFIQA": "fiqa_core.kernels.ediffiqa",
    "CRFIQA": "fiqa_core.methods.cr_fiqa",
    "LightQNet": "fiqa_core.methods.lightqnet",
    "MagFace": "fiqa_core.methods.magface",
    "PFE": "fiqa_core.methods.pfe",
    "SERFIQ": "fiqa_core.methods.ser_fiq",
    "FaceQnet": "fiqa_core.methods.faceqnet",
    "SDDFIQA": "fiqa_core.methods.sdd_fiqa",
    "PCNet": "fiqa_core.methods.pcnet",
    "FaceQgen": "fiqa_core.methods.faceqgen",
    "FROQ": "fiqa_core.methods.froq",
    "GraFIQs": "fiqa_core.methods.grafiqs",
    "PreFIQs": "fiqa_core.methods.prefiqs",
    "build_model": "fiqa_core.loading",
    "load_recogniser": "fiqa_core.loading",
    "load_quality": "fiqa_core.loading",
    "load_diffusion": "fiqa_core.loading",
    "load_shipped": "fiqa_core.loading",
    "FiqaError": "fiqa_core.base.errors",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fiqa_core' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
