"""Lesson 6: a thousand times faster. A student learns DifFIQA's labels of the pack."""
from functools import cache

import numpy as np
import pandas as pd
import torch

from fiqa_core.course import sketch
from fiqa_core.course.claims import Claim
from fiqa_core.course.lessons.scene2 import LIMIT, comparisons, curve_of
from fiqa_core.course.lessons.scene7 import printed
from fiqa_core.course.game import FMR
from fiqa_core.course.networks import faces, network, unet
from fiqa_core.course.pack import load_pack
from fiqa_core.evaluation.comparisons import pair_quality
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.ranks import spearman
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.ediffiqa import QualityMLP, class_centres, min_max, optimised_labels

STEPS, TEST = 300, 120          # of training; labelled faces kept apart


def run_times() -> pd.DataFrame:
    """The printed times of teacher and students."""
    table = printed("runtime_and_parameters")
    own = table[(table["quantity"] == "run time mean") & table["source"].str.startswith("eDifFIQA")]
    return own[["method", "value", "unit"]].reset_index(drop=True)


def parameters() -> pd.DataFrame:
    """The printed numbers of parameters."""
    table = printed("runtime_and_parameters")
    return table[table["quantity"] == "parameters"][["method", "setting", "value", "unit"]].reset_index(drop=True)


@cache
def labels() -> np.ndarray:
    """DifFIQA's scores of the labelled faces, brought to [0, 1]."""
    return min_max(load_pack()["train_labels"])


def split() -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to test on; no person is in both."""
    identity = load_pack()["train_identity"]
    people = np.unique(identity)
    kept = people[np.cumsum([np.sum(identity == who) for who in people[::-1]])[::-1] <= TEST]
    test = np.isin(identity, kept)
    return np.flatnonzero(~test), np.flatnonzero(test)


def draw_labels():
    """The labels' distribution."""
    learn, test = split()
    return sketch.two_histograms(labels()[learn], labels()[test], None, "Two histograms of labels from 0 to 1",
                                 "What the student is to learn", "label", ("to learn from", "for the test"), "faces")


@torch.enable_grad()
def train(rows: np.ndarray, seed: int = 0, steps: int = STEPS) -> tuple[QualityMLP, list[float]]:
    """A head on frozen embeddings, and its loss over the steps."""
    e, wanted = embeddings("train_e")[rows], torch.from_numpy(labels()[rows]).float()
    torch.manual_seed(seed)
    head, losses = QualityMLP(e.shape[1], 64), []
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = torch.randint(len(rows), (64,), generator=generator)
        loss = (head(e[batch])[:, 0] - wanted[batch]).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return head, losses


def embeddings(name: str) -> torch.Tensor:
    """Embeddings of the pack, of a common scale."""
    e = torch.from_numpy(load_pack()[name].astype(np.float32))
    return e / torch.from_numpy(load_pack()["train_e"].astype(np.float32)).std()


@cache
def student() -> QualityMLP:
    """The head that learnt from all rows but the test's."""
    return train(split()[0])[0].eval()


def draw_loss():
    """The loss while the student learns."""
    losses = np.array(train(split()[0])[1]).reshape(-1, 10).mean(1)
    return sketch.curves({"loss": (np.arange(1, len(losses) + 1) * 10, losses)}, "step", "mean absolute error",
                          "The loss falls over the steps", "The student learns")


@torch.no_grad()
def predicted(name: str, rows=slice(None)) -> np.ndarray:
    """The student's scores of faces of the pack."""
    return student()(embeddings(name)[rows])[:, 0].numpy()


def draw_pupil():
    """Teacher and student on people that the student has not seen."""
    teacher = load_pack()["q_diffiqa"]
    return sketch.scatter(teacher, predicted("e_cosface"), "teacher: DifFIQA", "student",
                           "One dot for each of 896 faces", f"Spearman {agreement():.2f} on new people")


def agreement() -> float:
    """Spearman's correlation of teacher and student on the comparisons' faces, other people than it learnt from."""
    return spearman(load_pack()["q_diffiqa"], predicted("e_cosface"))


def learning_curve(counts, seed: int) -> list[float]:
    """Spearman on the test's people after learning from so many labels."""
    learn, test = split()
    order = np.random.default_rng(seed).permutation(learn)
    found = []
    for count in counts:
        head = train(order[:count], seed, 150)[0]
        with torch.no_grad():
            found.append(spearman(labels()[test], head(embeddings("train_e")[test])[:, 0].numpy()))
    return found


def draw_learning(counts):
    """The same for three draws of the faces to learn from."""
    lines = {f"draw {seed + 1}": (counts, learning_curve(counts, seed)) for seed in range(3)}
    return sketch.curves(lines, "labels to learn from", "Spearman on the test's people",
                          "Three lines over the number of labels", "How many labels?")


def two_formulas():
    """A label of 0.8 over the cosine to the person's centre, by the paper's print and by the released code."""
    cosine = torch.linspace(0, 1, 21, dtype=torch.float64)
    e = torch.stack((cosine, (1 - cosine ** 2).sqrt()), dim=1)
    centre, q = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(21, 2), torch.full((21,), 0.8, dtype=torch.float64)
    lines = {name: (cosine.numpy(), optimised_labels(q, e, centre, 0.5, variant).numpy())
             for name, variant in (("as printed", "paper"), ("released code", "reference"))}
    return sketch.curves(lines, "cosine of the face with its person's centre", "label q_o (q = 0.8, epsilon "
                                                                               "= 0.5)",
                          "As printed the label falls towards the centre, in the released code it rises",
                          "One formula, two signs")


def centres(beta: float = 0.5, least: int = 3):
    """Cosine of every labelled face with its person's centre over its label."""
    pack = load_pack()
    e = torch.from_numpy(pack["train_e"].astype(np.float32))
    found, rows = class_centres(e, pack["train_identity"], labels(), beta, least)
    own = np.flatnonzero(rows >= 0)
    cosine = torch.cosine_similarity(e[own], found[rows[own]], dim=1).numpy()
    return sketch.scatter(labels()[own], cosine, "label", "cosine with the person's centre",
                           "One dot for each labelled face of a person who has a centre",
                           f"{len(found)} people have a centre")


def draw_edc():
    """Curves of teacher and student."""
    similarity, genuine = comparisons()
    pack = load_pack()
    quality = pair_quality(predicted("e_cosface").astype(float), pack["a"], pack["b"])
    lines = {"teacher: DifFIQA (n = 1)": curve_of("diffiqa").steps(),
             "student": edc(similarity, genuine, quality, "iso", FMR).steps()}
    return sketch.curves(lines, "share discarded", "FNMR of what is kept (lower is better)",
                          "Two curves of teacher and student", "Does the student discard as well?", steps=True,
                          limit=(0, LIMIT), level=curve_of("diffiqa").fnmr0,
                         top=1.15 * curve_of("diffiqa").fnmr0)


def one_face_times() -> pd.DataFrame:
    """Seconds of a face here, by this processor, of teacher and student."""
    from time import perf_counter
    face, method, rows = faces(1), DifFIQA(unet(), network(), repeats=1), []
    for name, work in (("DifFIQA, n = "
                        "1", lambda: method(face)), ("student", lambda: student()(network()(face)))):
        with torch.no_grad():
            work()
            start = perf_counter()
            for _ in range(3):
                work()
        rows.append({"method": name, "milliseconds on this "
                                     "machine": round((perf_counter() - start) / 3 * 1e3, 1)})
    return pd.DataFrame(rows)


def claimed() -> dict[str, Claim]:
    """The measured sentences."""
    def student_found():
        return {"spearman": agreement(), "labels": len(split()[0])}

    return {
        "student": Claim("After {labels} labels the student's order of new people's faces agrees with its teacher's at a "
                         "Spearman correlation of {spearman:.2f}; 1 would be the same order, 0 nothing of it.",
                         student_found, lambda spearman, labels: spearman > 0.2, "Spearman above 0.2"),
    }
