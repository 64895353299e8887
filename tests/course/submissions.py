"""Eight submissions of lesson 4, as students hand them in: written anew for each test from the exercises."""
import json
from pathlib import Path

from fiqa_core.course.build import code
from fiqa_core.course.exercise import exercises

IDS = ("4.1", "4.2", "4.3")


def notebook(cells) -> dict:
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def answers(text_of) -> dict:
    """A notebook with an answer for each exercise."""
    cells = [code("import torch\nimport torch.nn.functional as F\nfrom fiqa_core.course.desk import "
                  "check", "i")]
    return notebook(cells + [code(text_of(exercises()[i]), i.replace(".", "-")) for i in IDS])


LOOP = "def attack(recogniser, x, y, epsilon, steps):\n    while True:\n        pass\n"
HOG = "def attack(recogniser, x, y, epsilon, steps):\n    return torch.ones(1 << 40)\n"
PATCH = """import fiqa_core.course.judge as judge
import fiqa_core.course.grade as grade
judge.judge = grade.judge = lambda *a: judge.Verdict(True, "right", "right")
judge.agree = judge.same = lambda *a: True


def attack(recogniser, x, y, epsilon, steps):
    judge.judge = grade.judge = lambda *a: judge.Verdict(True, "right", "right")
    return torch.zeros(1)
"""


def write_all(folder: Path) -> dict[str, list[int]]:
    """Write them; name -> points of 4.1, 4.2, 4.3 (worth 1, 1 and 2)."""
    known = exercises()

    def with_attack(text):
        return answers(lambda e: text if e.id == "4.3" else e.solution)

    copied = answers(lambda e: e.solution)
    copied["cells"] = copied["cells"][::-1] + [code(known[i].stub, f"copy-{i[-1]}") for i in IDS]
    bare = json.loads(json.dumps(answers(lambda e: e.solution)))
    for cell in bare["cells"]:
        cell.pop("id")
        cell.pop("metadata")
    bare.pop("metadata")
    books = {
        "a_perfect": (answers(lambda e: e.solution), [1, 1, 2]),
        "b_stub": (answers(lambda e: e.stub), [0, 0, 0]),
        "c_wrong": (answers(lambda e: e.wrong_code(e.wrong[0])), [0, 0, 0]),
        "d_copied_cells": (copied, [1, 1, 2]),
        "e_no_metadata": (bare, [1, 1, 2]),
        "f_endless_loop": (with_attack(LOOP), [1, 1, 0]),
        "g_memory_hog": (with_attack(HOG), [1, 1, 0]),
        "h_patched_judge": (with_attack(PATCH), [1, 1, 0]),
    }
    for name, (content, _) in books.items():
        place = folder / f"{name}.ipynb" if name < "e" else folder / name / "4_faceqan.ipynb"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content))
    return {name: points for name, (_, points) in books.items()}
