"""The diffusion model of DifFIQA: network, schedule and sampler, degradation, extended training."""
from fiqa_core.diffusion.model import Diffusion, load_diffusion, load_official

__all__ = ["Diffusion", "load_diffusion", "load_official"]
