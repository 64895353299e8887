"""Lesson 3: one quality measure of each family."""
import numpy as np
import torch

from fiqa_core.course.designs import judge_capture, random_capture
from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.methods import faceqnet, pixels, ser_fiq

SHARP = """def sharpness(face):
    \"\"\"Variance of the Laplacian of the luminance of face (H, W, 3) in [0, 1], without the outermost pixels.\"\"\"
    """
SHARP_BODY = """y = face @ np.array([0.299, 0.587, 0.114])
    laplacian = y[1:-1, 2:] + y[1:-1, :-2] + y[2:, 1:-1] + y[:-2, 1:-1] - 4 * y[1:-1, 1:-1]
    return laplacian.var()
"""


def draw_faces(rng) -> list[tuple]:
    """Coloured pictures of the size of the face within a crop, smooth and rough."""
    cases = []
    for rough in (0.02, 0.05, 0.1, 0.2, 0.4):
        ramp = np.linspace(0.2, 0.6, 72)[:, None, None] * rng.uniform(0.6, 1.2, 3)
        cases.append(((ramp + rng.normal(0, rough, (72, 64, 3)) * rng.uniform(0.3, 1, 3)).clip(0, 1),))
    return cases


def sharpness(face):
    """The package's measure, which looks at this part of a crop."""
    crop = torch.zeros(1, 3, 112, 112)
    crop[0, :, pixels.ROWS, pixels.COLUMNS] = torch.from_numpy(face).permute(2, 0, 1).float()
    return float(pixels.sharpness(crop))


LABEL = """def faceqnet_labels(embeddings, severity):
    \"\"\"Labels (N,) of one person's images: embeddings (N, D) of length 1, severity (N,) of their flaws.\"\"\"
    """
LABEL_BODY = """gallery = np.argmin(severity)
    distance = np.linalg.norm(embeddings - embeddings[gallery], axis=1)
    probe = np.arange(len(distance)) != gallery
    z = (distance - distance[probe].mean()) / distance[probe].std()
    return np.where(probe, 1 / (1 + np.exp(z)), np.nan)
"""


def draw_people(rng) -> list[tuple]:
    """Images of one person, the flawed ones farther away."""
    cases = []
    for n in (4, 6, 9, 14, 20):
        severity = rng.permutation(np.linspace(0.02, 0.9, n))
        vectors = rng.normal(size=5) + rng.normal(size=(n, 5)) * severity[:, None] + rng.normal(size=(n, 5)) * 0.2
        cases.append((vectors / np.linalg.norm(vectors, axis=1, keepdims=True), severity))
    return cases


def faceqnet_labels(embeddings, severity):
    """The package's labels for one person."""
    gallery = faceqnet.galleries(["one"] * len(severity), severity, [f"{i:03d}" for i in range(len(severity))])
    return faceqnet.comparison_labels(embeddings, gallery)


ROBUST = """def robustness(embeddings):
    \"\"\"SER-FIQ's score of one face from the embeddings (T, D), of length 1, of T random sub-networks.\"\"\"
    """
ROBUST_BODY = """first, second = np.triu_indices(len(embeddings), 1)
    distance = np.linalg.norm(embeddings[first] - embeddings[second], axis=1).mean()
    return 2 / (1 + np.exp(distance))
"""


def draw_networks(rng) -> list[tuple]:
    """Embeddings of one face by few and many sub-networks."""
    cases = []
    for count, spread in ((2, 0.1), (3, 0.3), (5, 0.2), (10, 0.5), (30, 0.05)):
        vectors = rng.normal(size=6) + rng.normal(size=(count, 6)) * spread
        cases.append((vectors / np.linalg.norm(vectors, axis=1, keepdims=True),))
    return cases


def robustness(embeddings):
    """The package's score with every pair counted once."""
    distance = ser_fiq.mean_distance(torch.from_numpy(embeddings)[None])
    return float(ser_fiq.quality(distance, len(embeddings), ser_fiq.Variant())[0])


def judged_capture(outputs, cases, seed) -> Verdict:
    """The verdict on a capture that fools sharpness."""
    return judge_capture(outputs[0], seed)


EXERCISES = [
    Exercise(
        "3.1", "sharpness", 6,
        "An analytical measure. Luminance is 0.299 R + 0.587 G + 0.114 B; its Laplacian at a pixel is the "
        "sum of the "
        "four neighbours less four times the pixel itself. Return the variance over all pixels that have four "
        "neighbours.",
        SHARP + "return ...\n", SHARP + SHARP_BODY,
        (Wrong("the three colours count differently: take the luminance, not their mean",
               "face @ np.array([0.299, 0.587, 0.114])", "face.mean(axis=2)"),
         Wrong("that is the deviation, the root of what is asked", "laplacian.var()", "laplacian.std()"),
         Wrong("at the border your neighbours come from the opposite side of the picture", SHARP_BODY,
               "y = face @ np.array([0.299, 0.587, 0.114])\n    laplacian = sum(np.roll(y, s, a) for s in "
               "(-1, 1) "
               "for a in (0, 1)) - 4 * y\n    return laplacian.var()\n"),
         Wrong("that is the variance of the picture itself: contrast, not "
               "sharpness", "laplacian.var()", "y.var()")),
        draw_faces, sharpness, tolerance=2e-4),
    Exercise(
        "3.2", "faceqnet_labels", 7,
        r"A regression needs labels. FaceQnet compares each image with the person's *best* one, the gallery "
        r"(of lowest "
        r"severity): label $1 / (1 + e^z)$ with the standardised Euclidean distance $z$. The gallery is no "
        r"probe: "
        r"its label is `np.nan`, and it counts in neither mean nor deviation.",
        LABEL + "return ...\n", LABEL + LABEL_BODY,
        (Wrong("the gallery compares with itself in yours, and its distance 0 moves mean and deviation",
               "distance[probe].mean()) / distance[probe].std()", "distance.mean()) / distance.std()"),
         Wrong("you compare with the mean of all images; the gallery is the best single one",
               "embeddings - embeddings[gallery]", "embeddings - embeddings.mean(axis=0)"),
         Wrong("your gallery is the worst image", "np.argmin", "np.argmax"),
         Wrong("far must be poor: the label grows with the distance in yours", "np.exp(z)", "np.exp(-z)"),
         Wrong("the gallery has a label in yours, though it was not compared",
               "np.where(probe, 1 / (1 + np.exp(z)), np.nan)", "1 / (1 + np.exp(z))")),
        draw_people, faceqnet_labels, tolerance=1e-5),
    Exercise(
        "3.3", "robustness", 6,
        r"A measure of the recogniser itself: random sub-networks should agree on a good face. $2 / (1 + "
        r"e^{d})$ with "
        r"$d$ the mean Euclidean distance over all pairs of *different* sub-networks.",
        ROBUST + "return ...\n", ROBUST + ROBUST_BODY,
        (Wrong("each embedding is paired with itself in yours, at distance 0",
               "np.triu_indices(len(embeddings), 1)", "np.indices((len(embeddings),) * 2).reshape(2, -1)"),
         Wrong("distances are not squared", ".mean()\n", "\n    distance = (distance ** 2).mean()\n"),
         Wrong("far apart must be poor: your score grows with the "
               "distance", "np.exp(distance)", "np.exp(-distance)"),
         Wrong("the mean over all pairs is asked, not the largest distance", ".mean()\n", ".max()\n")),
        draw_networks, robustness, tolerance=1e-5),
    Exercise(
        "3.4", "capture", 5,
        "Fool sharpness: a capture (a dictionary of flaws such as `{\"yaw\": 30}`) whose sharpness is at least ten times "
        "that of the portrait, while the cosine with it falls to 0.9 or less, and its mean not below 0.6. Tried on five "
        "people whom nobody has seen.",
        "capture = ...\n", "capture = {\"noise\": 80}\n",
        (Wrong("too weak: sharpness does not rise tenfold", "80", "8"),
         Wrong("the picture is less sharp than before", "{\"noise\": 80}", "{\"defocus\": 3}"),
         Wrong("sharp enough, but the recogniser hardly minds", "80", "25"),
         Wrong("too strong: hardly anybody would be recognised", "{\"noise\": 80}", "{\"noise\": 80, \"yaw\": 70}")),
        judge=judged_capture, monkey=random_capture, seeds=3),
]
