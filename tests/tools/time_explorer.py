"""Thread time of each element of the explorer: python -m tests.tools.time_explorer

With the networks that are there (FIQA_ROOT names the project), one thread; median and 90th percentile in ms.
"""
import time

import numpy as np
import torch

from fiqa_core.explore import views
from fiqa_core.explore.app import Explorer
from fiqa_core.explore.discarding import brushed, discarding
from fiqa_core.explore.frame import cosine, curve, frame, push, repair
from fiqa_core.explore.portrait import cast, portrait
from fiqa_core.explore.state import State

RUNS = 9
FLAWED = State().but(yaw=20.0, mask=0.5, hat=0.4, glasses=0.5, bar=0.2, defocus=2.0, motion=4.0, noise=10.0,
                     jpeg=40.0)


def milliseconds(work) -> str:
    """Median and 90th percentile of the thread time of `work()`, after two runs that do not count."""
    times = []
    for _ in range(RUNS + 2):
        start = time.thread_time()
        work()
        times.append(1000 * (time.thread_time() - start))
    return "{:7.1f} {:7.1f}".format(*np.quantile(times[2:], (0.5, 0.9)))


def main():
    torch.set_num_threads(1)
    explorer = Explorer()
    kit, faces, start = explorer.kit, explorer.compared, time.thread_time()
    steps = max(_timed(faces.work(kit)), default=0)
    print(f"{faces.name}, {kit.choice.key if kit.choice else 'no recogniser'}: faces to compare with took "
          f"{time.thread_time() - start:.1f} s once, the longest step {1000 * steps:.0f} ms")
    pixels, plain = portrait(FLAWED)[0], portrait(State())[0]
    yaws = iter(np.linspace(1, 60, 10_000))
    elements = {
        "render, plain": lambda: portrait(State()), "render, many flaws": lambda: portrait(FLAWED),
        "new person": lambda: (cast.cache_clear(), portrait(State())),
        "picture as PNG": lambda: views.picture(pixels, 224, ""),
        **{f"score {slug}": lambda scorer=scorer: scorer(pixels[None]) for slug,
           scorer in kit.scorers.items()},
        "frame, many flaws": lambda: frame(FLAWED, kit, faces),
        "a slider's event, all that is drawn": lambda: setattr(explorer.sliders["yaw"], "value",
                                                               float(next(yaws)))}
    if kit.choice:
        elements |= {"embedding of two, decision": lambda: cosine(kit, pixels, plain),
                     "push": lambda: push(pixels, kit, faces),
                     "repair": lambda: repair(pixels, kit, faces),
                     "repair, 10 repeats": lambda: repair(pixels, kit, faces, 10),
                     "curve of FaceQAN": lambda: list(curve(State(), kit, "faceqan")),
                     "discard": lambda: discarding(State(method="sharpness", discard=0.3), kit, faces)}
    elements["set"] = lambda: brushed(State(method="sharpness", other="symmetry"), kit, faces)
    for name, work in elements.items():
        print(f"{name:<38}{milliseconds(work)}", flush=True)


def _timed(steps):
    start = time.thread_time()
    for _ in steps:
        yield time.thread_time() - start
        start = time.thread_time()


if __name__ == "__main__":
    main()
