"""Lesson 5: DifFIQA, line by line."""
import torch

from fiqa_core.course.designs import judge_words, random_words
from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.course.pack import load_pack
from fiqa_core.kernels import diffiqa, diffusion


def generator_of(rng) -> torch.Generator:
    """Torch's generator for a case."""
    return torch.Generator().manual_seed(int(rng.integers(2 ** 60)))


SCHEDULE = """def alphas_bar(T):
    \"\"\"Share of the picture that is left (T,) float64 after 1, 2, ..., T steps of noise.\"\"\"
    t = torch.arange(T + 1, dtype=torch.float64)
    f = torch.cos((t / T + 0.008) / 1.008 * torch.pi / 2) ** 2
    """


def draw_noises(rng) -> list[tuple]:
    """Pictures, times, noise, and the schedule's table."""
    generator, abar = generator_of(rng), diffusion.tables()["alphas_cumprod"].double()
    return [(torch.rand(3, 4, 4, generator=generator, dtype=torch.float64) * 2 - 1, t,
             torch.randn(3, 4, 4, generator=generator, dtype=torch.float64), abar) for t in (5, 20, 100, 400, 800)]


NOISE = """def add_noise(x, t, noise, abar):
    \"\"\"x_t: the picture x with as much of it left as abar[t] says, the rest of its variance from noise.\"\"\"
    """
TERMS = ("forward", "backward", "forward_flip", "backward_flip", "flip")


def draw_similarities(rng) -> list[tuple]:
    """Five terms of n repeats each."""
    generator = generator_of(rng)
    return [({name: 1 - torch.rand(images, n, generator=generator, dtype=torch.float64) * scale
              for name, scale in zip(TERMS, (0.1, 0.3, 0.4, 0.5, 0.6))},)
            for images, n in ((1, 3), (2, 10), (3, 2), (4, 5), (2, 4))]


QUALITY = """def diffusion_quality(similarities):
    \"\"\"q (B,) from the terms, a dictionary of name -> similarities (B, n) of n repeats.\"\"\"
    """

FLAWS, WORDS = ("yaw", "light_angle", "defocus", "noise", "mask", "hat"), ("flip", "backward", "neither")
LEAST = 0.01


def deciding_terms() -> dict[str, str]:
    """Which of two terms falls more from no flaw to the strongest, "neither" where both fall by less than LEAST."""
    found = {}
    for flaw in FLAWS:
        first, last = load_pack().swept("terms", flaw).mean(axis=0)
        falls = {name: first[TERMS.index(name)] - last[TERMS.index(name)] for name in ("flip", "backward")}
        found[flaw] = max(falls, key=falls.get) if max(falls.values()) >= LEAST else "neither"
    return found


def judged_terms(outputs, cases, seed) -> Verdict:
    """The verdict on six terms."""
    return judge_words(outputs[0], deciding_terms(), WORDS, {})


EXERCISES = [
    Exercise(
        "5.1", "alphas_bar", 5,
        r"The cosine schedule. $\beta_t = 1 - f(t)/f(t-1)$, at most 0.999, is the noise of step $t$; "
        r"$\bar\alpha_t = \prod_{s \le t} (1 - \beta_s)$ is what is left of the picture after it. `f` is "
        r"there.",
        SCHEDULE + "return ...\n",
        SCHEDULE + "beta = (1 - f[1:] / f[:-1]).clamp(0, 0.999)\n    return torch.cumprod(1 - beta, dim=0)\n",
        (Wrong("what is left after two steps is a share of a share: multiply, do not add",
               "torch.cumprod(1 - beta, dim=0)", "1 - torch.cumsum(beta, dim=0)"),
         Wrong("beta is at most 0.999: the last step may not wipe out everything", ".clamp(0, 0.999)", ""),
         Wrong("beta is the noise that is added; what is left of the picture is 1 - beta",
               "torch.cumprod(1 - beta, dim=0)", "torch.cumprod(beta, dim=0)"),
         Wrong("that is one step by itself: all steps so far count", "torch.cumprod(1 - beta, "
                                                                     "dim=0)", "1 - beta")),
        lambda rng: [(int(T),) for T in (*rng.choice(range(4, 12), 3, replace=False), int(rng.integers(13, 30)), 1000)],
        lambda T: diffusion.tables(T)["alphas_cumprod"].double(), tolerance=2e-6),
    Exercise(
        "5.2", "add_noise", 4,
        r"The forward process in one line: $x_t = \sqrt{\bar\alpha_t}\,x + \sqrt{1 - "
        r"\bar\alpha_t}\,\varepsilon$.",
        NOISE + "return ...\n",
        NOISE + "return abar[t].sqrt() * x + (1 - abar[t]).sqrt() * noise\n",
        (Wrong("abar is a share of the variance: the factors of pictures are roots",
               "abar[t].sqrt() * x + (1 - abar[t]).sqrt() * noise", "abar[t] * x + (1 - abar[t]) * noise"),
         Wrong("the two factors are swapped: your face is noise at the start",
               "abar[t].sqrt() * x + (1 - abar[t]).sqrt() * noise", "(1 - abar[t]).sqrt() * x + "
                                                                    "abar[t].sqrt() * noise"),
         Wrong("the picture keeps all of itself and noise comes on top: its variance grows",
               "abar[t].sqrt() * x +", "x +"),
         Wrong("only one of the two factors has its root", "(1 - abar[t]).sqrt() * noise", "(1 - abar[t]) * "
                                                                                           "noise")),
        draw_noises, lambda x, t, noise, abar: diffusion.add_noise(x[None], t, noise[None], abar)[0]),
    Exercise(
        "5.3", "diffusion_quality", 5,
        "DifFIQA's score: every term is a similarity to the face's own embedding, (B, n) for n repeats. The "
        "score is "
        "the mean over all terms and repeats.",
        QUALITY + "return ...\n",
        QUALITY + "return torch.stack(list(similarities.values())).mean(dim=(0, 2))\n",
        (Wrong("the terms of the mirrored face are left out: pose shows in them",
               "list(similarities.values())", "[similarities[name] for name in (\"forward\", \"backward\")]"),
         Wrong("only the first of the n repeats counts in yours", ".mean(dim=(0, 2))", ".mean(dim=0)[:, 0]"),
         Wrong("the smallest term decides in yours: all of them count equally", ".mean(dim=(0, 2))",
               ".mean(dim=2).amin(dim=0)"),
         Wrong("that is one number for the whole batch: each image has its own", "dim=(0, 2)", "")),
        draw_similarities, lambda similarities: diffiqa.quality(similarities)),
    Exercise(
        "5.4", "deciding_terms", 5,
        "Which term notices which flaw? From step 7: does the mirror (`\"flip\"`) fall more, or the repaired "
        "face "
        f"(`\"backward\"`), or does neither fall by {LEAST}? A dictionary from "
        + ", ".join(f"`{flaw}`" for flaw in FLAWS) + " to one of the three words.",
        "deciding_terms = ...\n",
        "deciding_terms = {\"yaw\": \"flip\", \"light_angle\": \"flip\", \"defocus\": \"backward\", "
        "\"noise\": \"flip\",\n"
        "                  \"mask\": \"neither\", \"hat\": \"neither\"}\n",
        (Wrong("yaw does something else", "\"yaw\": \"flip\"", "\"yaw\": \"backward\""),
         Wrong("hat does something else", "\"hat\": \"neither\"", "\"hat\": \"flip\"")),
        judge=judged_terms, monkey=lambda rng: random_words(rng, FLAWS, WORDS, "deciding_terms")),
]
