"""The three papers: FaceQAN, DifFIQA with its diffusion model, and eDifFIQA."""
