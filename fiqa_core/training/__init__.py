"""Training: the loop, and what recognisers, diffusion models and quality methods each add to it."""
