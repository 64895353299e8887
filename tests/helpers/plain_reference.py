"""FaceQAN and DifFIQA written down as plainly as possible: one image, one repeat at a time, full autograd.

Nothing is shared with the kernels but the noise, which is drawn for the same (seed, image, repeat). Used to
prove that batching changes nothing, and to measure what it saves.
"""
import math

import torch

from fiqa_core.kernels import noise


def cosine(a, b):
    return (a * b).sum() / (a.norm() * b.norm())


def faceqan(images, recogniser, seed=noise.DEFAULT_SEED, epsilon=1e-3, iterations=5, repeats=10, exponent=5,
            variant="reference"):
    """Scores (B,) of images (B, 3, 112, 112)."""
    scores = []
    for image, key in zip(images, noise.content_keys(images)):
        x = image[None]
        y = recogniser(x).detach()
        similarities = []
        for repeat in range(repeats):
            generator = noise.sample_generator(seed, key, repeat)
            x_t = (x + noise.uniform([generator], image.shape, x.device, epsilon)).clamp(-1, 1)
            for _ in range(iterations):
                x_t = x_t.detach().requires_grad_(True)
                s = cosine(y, recogniser(x_t))
                (1 - s).backward()
                if variant == "reference":
                    similarities.append(s.item())
                x_t = (x_t + epsilon * x_t.grad.sign()).clamp(-1, 1)
            if variant == "paper":
                similarities.append(cosine(y, recogniser(x_t)).item())
        symmetry = cosine(recogniser(x), recogniser(x.flip(3))).item()
        mean = sum(similarities) / len(similarities)
        spread = math.sqrt(sum((s - mean) ** 2 for s in similarities) / len(similarities))
        q_adv = (mean + 1) / 2 * min(max(1 - spread, 0), 1)
        scores.append((q_adv * symmetry) ** exponent)
    return torch.tensor(scores, dtype=torch.float64)


def restore(unet, x_t, t, abar, z, eta):
    """DDIM over int(linspace(-1, t - 1, t + 2)) reversed, its idle step included."""
    times = [int(-1 + i * t / (t + 1)) for i in range(t + 2)][::-1]
    x, used = x_t, 0
    for now, after in zip(times[:-1], times[1:]):
        x0 = unet(x, torch.tensor([now], device=x.device)).clamp(-1, 1)
        if after == -1:
            return x0
        a, b = abar[now], abar[after]
        sigma = eta * torch.sqrt((1 - a / b) * (1 - b) / (1 - a))
        noise_of_x0 = (x - torch.sqrt(a) * x0) / torch.sqrt(1 - a)
        x = torch.sqrt(b) * x0 + torch.sqrt(1 - b - sigma**2) * noise_of_x0
        if now != after:
            x = x + sigma * z[:, used]
            used += 1
    return x


def diffiqa(images, diffusion, recogniser, seed=noise.DEFAULT_SEED, timestep=5, repeats=10, eta=1.0):
    """Scores (B,) of images (B, 3, 112, 112); every repeat embeds every picture."""
    abar = diffusion.alphas_cumprod
    scores = []
    for image in images:
        total = 0.0
        for repeat in range(repeats):
            results = []
            for mirrored in (False, True):
                x = image[None].flip(3) if mirrored else image[None]
                generator = noise.sample_generator(seed, noise.content_keys(x)[0], repeat, mirrored)
                small = diffusion.shrink(x)
                drawn = noise.normal([generator], (timestep, *small.shape[1:]), x.device)
                x_t = torch.sqrt(abar[timestep]) * small + torch.sqrt(1 - abar[timestep]) * drawn[:, 0]
                x_hat = restore(diffusion.model, x_t, timestep, abar, drawn[:, 1:], eta)
                results += [recogniser(diffusion.enlarge(x_t)), recogniser(diffusion.enlarge(x_hat))]
            own, mirror = recogniser(image[None]), recogniser(image[None].flip(3))
            total += sum(cosine(own, other).item() for other in [*results, mirror]) / 5
        scores.append(total / repeats)
    return torch.tensor(scores, dtype=torch.float64)
