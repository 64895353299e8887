"""Interactive pieces of the start notebook. Each widget wraps a pure function that works without widgets."""
import cv2
import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """The picture (112, 112, 3) uint8 under Gaussian blur of `sigma` pixels."""
    return picture if sigma == 0 else cv2.GaussianBlur(picture, (0, 0), sigma)


def score_curve(method, picture: np.ndarray, sigmas) -> np.ndarray:
    """Scores (len(sigmas),) of the picture under growing blur, one batch."""
    batch = np.stack([blurred(picture, sigma) for sigma in sigmas])
    return method(to_batch(batch)).cpu().numpy()


def blur_figure(picture: np.ndarray, sigmas, scores: np.ndarray, shown: int):
    """The picture at one blur, and the score over all blurs with that point marked."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(7, 2.6))
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    left.imshow(blurred(picture, sigmas[shown]))
    left.axis("off")
    right.plot(sigmas, scores, color="#0072B2")
    right.plot(sigmas[shown], scores[shown], "o", color="#D55E00")
    right.set(xlabel="blur, sigma in pixels", ylabel="FaceQAN score")
    return figure


def blur_explorer(picture: np.ndarray):
    """A slider over blur with FaceQAN's score; a sentence instead where nothing is trained yet."""
    from fiqa_core.pipeline.score import pipeline_method
    try:
        method = pipeline_method("faceqan")
    except FiqaError:
        return "No trained recogniser yet: run `make repro` first, then run this cell again."
    from IPython.display import display
    from ipywidgets import IntSlider, interactive_output
    sigmas = np.linspace(0, 5, 11)
    scores = score_curve(method, picture, sigmas)
    slider = IntSlider(0, 0, len(sigmas) - 1, description="blur step")
    display(blur_figure(picture, sigmas, scores, 4))
    display(slider, interactive_output(lambda shown: display(blur_figure(picture, sigmas, scores, shown)),
                                       {"shown": slider}))
    return None
