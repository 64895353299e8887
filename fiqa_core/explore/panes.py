"""What each part of the panel says, as HTML: from a frame, slow results and the networks that are here."""
from fiqa_core.explore import views
from fiqa_core.explore.frame import Frame, Mark, Point, advice
from fiqa_core.explore.kit import FILE, Kit
from fiqa_core.explore.reference import Reference
from fiqa_core.explore.state import State
from fiqa_core.reporting.names import METHODS

PHOTO = ("A photograph: pose, light and what is worn are in the picture already, so only the camera's flaws "
         "can be added. It stays in this kernel.")
REAL = "For photographs, add a network that was trained on them: python -m fiqa_core weights list."


def banner(state: State, kit: Kit) -> str:
    """What the network was trained on, what a photograph cannot be given, which methods are not here."""
    choice = kit.choice
    said = [f"{choice.name} was trained on {choice.trained_on}."] if choice else []
    if state.picture:
        said += [PHOTO] if choice and choice.origin == FILE else [PHOTO, REAL]
    missing = [f"Not here: {', '.join(names)}: {why}" for why, names in kit.missing.items()]
    title = f"{sum(map(len, kit.missing.values()))} methods are not here"
    return "".join(map(views.note, said)) + views.folded(title, missing)


def scores(shown: Frame, slow: dict, key: tuple, kit: Kit, faces: Reference) -> str:
    """Every score with its place, in the order of quick and slow, and the component measures.

    slow   slug -> (key of the state it belongs to, result with a `mark`); of another key than `key`: greyed
    """
    here = {slug: found for slug, found in slow.items() if slug in kit.scorers}
    fresh = {slug: found.mark for slug, (own, found) in here.items() if own == key}

    def strip(slug: str, mark: Mark) -> str:
        return views.strip(mark, faces.scores.get(kit.scorers[slug].digest))

    parts = [strip(slug, mark) for slug, mark in (shown.scores | fresh).items()]
    parts += [views.stale(strip(slug, found.mark)) for slug, (_, found) in here.items() if slug not in fresh]
    return views.block(views.note(advice(shown, fresh)), *parts, "<b>Component measures</b>",
                       views.components(shown.components))


def slow(slug: str, view, results: dict, key: tuple, kit: Kit) -> str:
    """A slow method at work, greyed where it is of another state; or why there is nothing."""
    own, found = results.get(slug, (None, None))
    if found:
        return views.block(view(found), old=own != key)
    reason = next((why for why, names in kit.missing.items() if METHODS[slug] in names), "")
    return views.block(views.note(reason or "Computing.", "warn" if reason else "note"))


def curve(own: tuple | None, points: list[Point], key: tuple, shown: Frame, kit: Kit) -> str:
    """The points of a curve so far; of another state than `key`: greyed.

    own, key   (what is seen but for the flaw, recogniser, flaw, slug of the method)
    """
    ask = views.note("Press the button to draw it.") if own != key else ""
    if not points or own[3] not in kit.scorers:
        return views.block(ask)
    chart = views.curve_view(points, own[2], shown.state[own[2]], kit.scorers[own[3]].name, shown.threshold)
    return views.block(ask, views.stale(chart) if ask else chart)
