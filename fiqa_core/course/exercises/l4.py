"""Lesson 4: FaceQAN, line by line."""
import torch

from fiqa_core.course.designs import judge_words, random_words
from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.course.linear import Linear, Recorder
from fiqa_core.course.pack import load_pack
from fiqa_core.kernels import faceqan


def drawn(rng, images: int):
    """A linear recogniser, images (N, 3, 4, 4) in [-1, 1] of which some values lie at the ends, embeddings y."""
    generator = torch.Generator().manual_seed(int(rng.integers(2 ** 60)))
    recogniser = Linear(torch.randn(6, 48, generator=generator, dtype=torch.float64))
    x = torch.rand(images, 3, 4, 4, generator=generator, dtype=torch.float64) * 2.2 - 1.1
    x = x.clamp(-1, 1)
    y = recogniser(x + 0.3 * torch.randn(x.shape, generator=generator, dtype=torch.float64))
    return recogniser, x, y.detach()


def draw_steps(rng) -> list[tuple]:
    """Arguments of one step."""
    cases = []
    for images, epsilon in ((1, 0.01), (2, 0.05), (3, 0.02), (2, 0.1), (4, 0.03)):
        recogniser, x, y = drawn(rng, images)
        cases.append((recogniser, x, y, epsilon))
    return cases


def fgsm_step(recogniser, x, y, epsilon):
    """The second image that FaceQAN's attack shows to the recogniser."""
    recorder = Recorder(recogniser)
    faceqan.attack(recorder, x, y, epsilon, 2)
    return recorder.seen[1]


STEP = """def fgsm_step(recogniser, x, y, epsilon):
    \"\"\"x (N, 3, H, W) after one step away from the embeddings y (N, D), within [-1, 1].\"\"\"
    x = x.clone().requires_grad_(True)
    distance = (1 - F.cosine_similarity(y, recogniser(x), dim=1)).sum()
    gradient, = torch.autograd.grad(distance, x)
    """


def draw_scores(rng) -> list[tuple]:
    """Similarities S (B, k, l), symmetries s_f (B,), exponents."""
    generator = torch.Generator().manual_seed(int(rng.integers(2 ** 60)))
    cases = []
    for images, k, steps, p in ((1, 2, 3, 5), (3, 10, 5, 5), (2, 5, 5, 1), (4, 3, 2, 3), (2, 4, 4, 2)):
        s = 1 - torch.rand(images, k, steps, generator=generator, dtype=torch.float64) * 0.8
        cases.append((s, 0.4 + 0.5 * torch.rand(images, generator=generator, dtype=torch.float64), p))
    return cases


QUALITY = """def adversarial_quality(S, s_f, p):
    \"\"\"Q (B,) from the similarities S (B, k, l) and the symmetry s_f (B,).\"\"\"
    """
QUALITY_BODY = """s = S.flatten(1)
    mu = s.mean(dim=1)
    sigma = s.std(dim=1, correction=0)
    q = (mu + 1) / 2 * (1 - sigma)
    return (q * s_f) ** p
"""


def draw_attacks(rng) -> list[tuple]:
    """Arguments of a whole attack."""
    return [(*case, steps) for case, steps in zip(draw_steps(rng), (3, 4, 5, 4, 6))]


ATTACK = """def attack(recogniser, x, y, epsilon, steps):
    \"\"\"Similarities (N, steps) to y (N, D): of x, then of x after 1, 2, ... steps. `fgsm_step` is yours.\"\"\"
    """
ATTACK_BODY = """recorded = []
    for _ in range(steps):
        x = x.clone().requires_grad_(True)
        similarity = F.cosine_similarity(y, recogniser(x), dim=1)
        gradient, = torch.autograd.grad(-similarity.sum(), x)
        recorded.append(similarity.detach())
        x = (x.detach() + epsilon * gradient.sign()).clamp(-1, 1)
    return torch.stack(recorded, dim=1)
"""

FLAWS, WORDS = ("yaw", "light_angle", "defocus", "noise", "mask", "bar"), ("rises", "falls")


def directions() -> dict[str, str]:
    """What FaceQAN's mean score does from no flaw to the strongest."""
    change = {flaw: load_pack().swept("faceqan", flaw).mean(axis=0) for flaw in FLAWS}
    return {flaw: WORDS[int(values[-1] < values[0])] for flaw, values in change.items()}


def judged_directions(outputs, cases, seed) -> Verdict:
    """The verdict on six directions."""
    return judge_words(outputs[0], directions(), WORDS, {"mask": "the mask: look again at step 8"})


EXERCISES = [
    Exercise(
        "4.1", "fgsm_step", 5,
        "One step of the fast gradient sign method. The gradient of the *distance* is there; move every "
        "value of the "
        "image by `epsilon` in the direction in which the distance grows, and stay within [-1, 1].",
        STEP + "return ...\n", STEP + "return (x.detach() + epsilon * gradient.sign()).clamp(-1, 1)\n",
        (Wrong("the step has the length of the gradient: only its sign counts, so that every value moves "
               "equally far",
               "gradient.sign()", "gradient"),
         Wrong("that goes towards y: the distance shrinks", "x.detach() + epsilon", "x.detach() - epsilon"),
         Wrong("some values leave the range [-1, 1]", ".clamp(-1, 1)", ""),
         Wrong("the range here is [-1, 1], not [0, 1]: dark values are lost", ".clamp(-1, 1)", ".clamp(0, 1)"),
         Wrong("the whole picture is scaled to one length: the sign is taken value by value", "gradient.sign()",
               "gradient / gradient.norm()")),
        draw_steps, fgsm_step, tolerance=1e-7),
    Exercise(
        "4.2", "adversarial_quality", 6,
        r"FaceQAN's score: $Q = \left(\frac{\mu + 1}{2}\,(1 - \sigma)\, s_f\right)^p$ with mean and population "
        r"deviation of all similarities of an image.",
        QUALITY + "return ...\n", QUALITY + QUALITY_BODY,
        (Wrong("the deviation divides by the number of similarities, not by one "
               "less", "correction=0", "correction=1"),
         Wrong("a cosine lies in [-1, 1]: bring the mean to [0, 1] first", "(mu + 1) / 2", "mu"),
         Wrong("the symmetry is missing", "(q * s_f)", "q"),
         Wrong("the power is taken of everything, the symmetry too", "(q * s_f) ** p", "q ** p * s_f"),
         Wrong("that is the variance; the deviation is its root", "s.std(dim=1, correction=0)",
               "s.var(dim=1, correction=0)"),
         Wrong("the spread lowers the score: subtract it from 1", "(1 - sigma)", "sigma"),
         Wrong("spread is taken over all similarities at once, not within each start", "s.std(dim=1, "
                                                                                       "correction=0)",
               "S.std(dim=2, correction=0).mean(dim=1)")),
        draw_scores, lambda S, s_f, p: faceqan.quality(S, s_f, p), tolerance=1e-7),
    Exercise(
        "4.3", "attack", 8,
        "The whole attack: record the similarity, take a step from where you are, and so on. The last "
        "similarity "
        "needs no further step.",
        ATTACK + "return ...\n", ATTACK + ATTACK_BODY,
        (Wrong("the gradient was taken at the start only: each step needs that of its own place", ATTACK_BODY,
               "recorded, first = [], x.clone().requires_grad_(True)\n"
               "    gradient, = torch.autograd.grad(-F.cosine_similarity(y, recogniser(first), dim=1).sum(), "
               "first)\n"
               "    for _ in range(steps):\n        recorded.append(F.cosine_similarity(y, recogniser(x), "
               "dim=1))\n"
               "        x = (x + epsilon * gradient.sign()).clamp(-1, 1)\n    return torch.stack(recorded, "
               "dim=1)\n"),
         Wrong("y follows the face: compare with the face's own embedding throughout",
               "recorded.append(similarity.detach())",
               "recorded.append(similarity.detach())\n        y = recogniser(x).detach()"),
         Wrong("you record after the step: the first similarity is that of x itself", ATTACK_BODY,
               ATTACK_BODY.replace("recorded.append(similarity.detach())\n        x = (x.detach() + epsilon * "
                                   "gradient.sign()).clamp(-1, 1)",
                                   "x = (x.detach() + epsilon * gradient.sign()).clamp(-1, 1)\n"
                                   "        recorded.append(F.cosine_similarity(y, recogniser(x), dim=1))")),
         Wrong("the steps go towards y: similarity must fall", "x.detach() + epsilon", "x.detach() - epsilon")),
        draw_attacks, lambda recogniser, x, y, epsilon, steps: faceqan.attack(recogniser, x, y, epsilon, steps),
        points=2, tolerance=1e-7),
    Exercise(
        "4.4", "directions", 4,
        "Does FaceQAN's mean score rise or fall from no flaw to its strongest? Predict first, then report "
        "what step 8 "
        "shows: a dictionary from " + ", ".join(f"`{flaw}`" for flaw in FLAWS) + " to `\"rises\"` or "
                                                                                 "`\"falls\"`.",
        "directions = ...\n",
        "directions = {\"yaw\": \"falls\", \"light_angle\": \"falls\", \"defocus\": \"falls\", \"noise\": "
        "\"falls\",\n"
        "              \"mask\": \"rises\", \"bar\": \"falls\"}\n",
        (Wrong("the mask: look again at step 8", "\"mask\": \"rises\"", "\"mask\": \"falls\""),
         Wrong("yaw does something else: look at the figure again", "\"yaw\": \"falls\"", "\"yaw\": "
                                                                                          "\"rises\"")),
        judge=judged_directions, monkey=lambda rng: random_words(rng, FLAWS, WORDS, "directions")),
]
