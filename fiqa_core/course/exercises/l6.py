"""Lesson 6: eDifFIQA, line by line."""
import numpy as np
import torch

from fiqa_core.course.designs import judge_split
from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.kernels import ediffiqa

SCALE = """def min_max(scores):
    \"\"\"Scores (N,) of the whole training list, brought linearly to [0, 1].\"\"\"
    """
LABEL = """def optimised_label(q, embedding, centre, epsilon):
    \"\"\"q_o (B,) from labels q (B,), embeddings and their people's centres (B, D).\"\"\"
    """
LABEL_BODY = """similarity = F.cosine_similarity(embedding, centre, dim=1)
    return (q - epsilon * (1 - similarity)).clamp(0, 1)
"""


def draw_labels(rng) -> list[tuple]:
    """Labels of which some leave [0, 1], embeddings near and far from their centre."""
    generator = torch.Generator().manual_seed(int(rng.integers(2 ** 60)))
    cases = []
    for images, epsilon in ((3, 0.5), (5, 0.3), (8, 0.5), (4, 0.8), (6, 1.0)):
        centre = torch.randn(images, 6, generator=generator, dtype=torch.float64)
        away = torch.randn(images, 6, generator=generator, dtype=torch.float64)
        embedding = (centre + away * torch.linspace(0.1, 4, images)[:, None]) * 3
        q = torch.rand(images, generator=generator, dtype=torch.float64)
        q[-1] = 0.05
        cases.append((q, embedding, centre, epsilon))
    return cases


def draw_people(rng) -> list[tuple]:
    """Embeddings of people with many and with few good images."""
    cases = []
    for people, each, least in ((3, 8, 2), (4, 10, 3), (5, 12, 3), (4, 15, 2), (6, 10, 2)):
        identity = np.repeat(np.arange(people), each)
        scores = rng.random(len(identity)) + 0.25 * (identity == 0)
        scores[identity == people - 1] -= 1
        scores[-1] = 2                          # one good image, which is too few
        order = rng.permutation(len(identity))
        cases.append((rng.normal(size=(len(identity), 4)), identity[order], scores[order], 0.5, least))
    return cases


def class_centres(embeddings, identity, scores, beta, least):
    """The package's centres as a dictionary."""
    centres, rows = ediffiqa.class_centres(torch.from_numpy(embeddings), identity, scores, beta, least)
    return {int(identity[rows == row][0]): centres[row].numpy() for row in range(len(centres))}


CENTRES = """def class_centres(embeddings, identity, scores, beta, least):
    \"\"\"Person -> mean (D,) of the embeddings (N, D) of that person's best images.\"\"\"
    """
CENTRES_BODY = """limit = np.sort(scores)[::-1][int(beta * (len(scores) - 1))]
    best = scores >= limit
    return {int(who): embeddings[best & (identity == who)].mean(axis=0) for who in np.unique(identity)
            if np.sum(best & (identity == who)) >= least}
"""

SPLIT = """def split_people(identity, share, rng):
    \"\"\"Mask (N,) bool of the images that are put aside for a test; identity (N,), rng a numpy generator.\"\"\"
    """
SPLIT_BODY = """people = np.unique(identity)
    aside = rng.choice(people, round(share * len(people)), replace=False)
    return np.isin(identity, aside)
"""


def draw_splits(rng) -> list[tuple]:
    """Images of the same twelve people in other orders and numbers."""
    return [(rng.permutation(np.repeat(np.arange(12), rng.integers(3, 9, 12))), 0.25,
             np.random.default_rng(int(rng.integers(2 ** 40)))) for _ in range(5)]


def judged_split(outputs, cases, seed) -> Verdict:
    """The verdict on masks."""
    return judge_split(outputs, cases)


def random_split(rng) -> str:
    """Random rules for who is put aside."""
    rule = rng.choice(["rng.random(len(identity)) < {a}", "identity < {b}", "np.arange(len(identity)) % {b} "
                                                                            "== 0",
                       "(identity * rng.integers(1, 9)) % {b} == 0", "rng.permutation(len(identity)) < {a} * "
                                                                   "len(identity)"])
    return f"def split_people(identity, share, rng):\n    return {rule.format(a=round(rng.random(), 2), b=rng.integers(2, 12))}\n"


EXERCISES = [
    Exercise(
        "6.1", "min_max", 3,
        "A student learns labels from 0 to 1. Bring the teacher's scores of the training list there, the "
        "lowest to 0 "
        "and the highest to 1.",
        SCALE + "return ...\n", SCALE + "return (scores - scores.min()) / (scores.max() - scores.min())\n",
        (Wrong("the lowest score does not become 0: subtract it first",
               "(scores - scores.min()) / (scores.max() - scores.min())", "scores / scores.max()"),
         Wrong("mean 0 and deviation 1 are not the range from 0 to 1",
               "(scores - scores.min()) / (scores.max() - scores.min())", "(scores - scores.mean()) / "
                                                                          "scores.std()"),
         Wrong("ranks forget how far apart two scores are: the way must be linear",
               "(scores - scores.min()) / (scores.max() - scores.min())",
               "np.argsort(np.argsort(scores)) / (len(scores) - 1)"),
         Wrong("the highest score does not become 1: divide by the whole span", " / (scores.max() - "
                                                                                "scores.min())", "")),
        lambda rng: [(rng.uniform(low, high, n),) for n, low, high in
                     ((3, 0.8, 0.95), (6, 0.9, 0.99), (9, -2, 3), (20, 20, 40), (50, 0.1, 0.3))], ediffiqa.min_max),
    Exercise(
        "6.2", "optimised_label", 6,
        r"The released code lowers a label by how far the face lies from its person's centre: "
        r"$q_o = q - \varepsilon\,(1 - \cos(e, c))$, kept within [0, 1].",
        LABEL + "return ...\n", LABEL + LABEL_BODY,
        (Wrong("as the paper prints it, the face at its centre loses most: is that meant?", "(1 - similarity)",
               "similarity"),
         Wrong("some labels leave [0, 1]", ".clamp(0, 1)", ""),
         Wrong("epsilon stands in it once", "epsilon * (1 - similarity)", "epsilon * epsilon * (1 - "
                                                                          "similarity)"),
         Wrong("embeddings have lengths of their own: a cosine is asked, not a product",
               "F.cosine_similarity(embedding, centre, dim=1)", "(embedding * centre).sum(dim=1)"),
         Wrong("a face far from its centre must lose, in yours it gains", "q - epsilon", "q + epsilon")),
        draw_labels, lambda q, embedding, centre, epsilon: ediffiqa.optimised_labels(q, embedding, centre, epsilon)),
    Exercise(
        "6.3", "class_centres", 7,
        "A person's centre is the mean embedding of her best images. Best are those at or above the score at "
        "rank "
        "`int(beta * (N - 1))` of *all* images, counted from the highest. Who has fewer than `least` of them "
        "gets no "
        "centre. Return a dictionary from person to centre.",
        CENTRES + "return ...\n", CENTRES + CENTRES_BODY,
        (Wrong("all images are in your centres, poor ones too", "best = scores >= limit",
               "best = scores >= scores.min()"),
         Wrong("people with too few good images have a centre in yours", ">= least", ">= 1"),
         Wrong("you took the worst images: the rank counts from the highest score",
               "[::-1][int(beta * (len(scores) - 1))]\n    best = scores >= limit",
               "[int(beta * (len(scores) - 1))]\n    best = scores <= limit"),
         Wrong("the images at the limit belong to the best, too", "best = scores >= limit", "best = scores > "
                                                                                            "limit"),
         Wrong("that is the best image of each person; a centre is a mean", ".mean(axis=0) for who",
               "[0] for who")),
        draw_people, class_centres),
    Exercise(
        "6.4", "split_people", 7,
        "Does the student know quality, or has it met the people? Put a share of the *people* aside for the "
        "test, drawn "
        "by the generator `rng`, and mark all their images. Nobody may be on both sides.",
        SPLIT + "return ...\n", SPLIT + SPLIT_BODY,
        (Wrong("people are on both sides: the student has met whom it is tested on", SPLIT_BODY,
               "return rng.random(len(identity)) < share\n"),
         Wrong("always the same people are put aside: draw them with the generator", "rng.choice(people, "
               "round(share * len(people)), replace=False)", "people[:round(share * len(people))]"),
         Wrong("people are put aside, where a share", "round(share * len(people))", "len(people) - 1")),
        draw_splits, judge=judged_split, monkey=random_split, points=2),
]
