"""Pictures and charts as HTML and SVG text, made of values alone: quick, and read aloud by one sentence each.

Colours and marks are those of every figure of the workbook; nothing is said by colour alone.
"""
import base64
from html import escape

import cv2
import numpy as np

from fiqa_core.explore.discarding import Brushed, Discarding
from fiqa_core.explore.frame import Frame, Mark, Point, Push, Repair, ordinal
from fiqa_core.reporting.names import look

INK, MUTED, GRID, PLAIN, ALARM = "#222222", "#6b6b6b", "#e0e0e0", "#0072B2", "#B34700"
BINS = 24
STYLE = """<style>
.fx {font: 13px/1.45 "DejaVu Sans", sans-serif; color: #222; background: #fff; overflow-wrap: anywhere}
.fx svg {max-width: 100%; height: auto; display: block}
.fx img {image-rendering: pixelated; max-width: 100%; display: block}
.fx figure {margin: 0 8px 8px 0; display: inline-block; vertical-align: top; max-width: 100%}
.fx figcaption {color: #555; font-size: 12px}
.fx .row {display: flex; flex-wrap: wrap; align-items: flex-start}
.fx .old {opacity: .35; filter: grayscale(1)}
.fx .word {font-weight: bold; font-size: 15px}
.fx .note {border-left: 4px solid #0072B2; padding: 2px 8px; margin: 4px 0}
.fx .warn {border-left: 4px solid #B34700; padding: 2px 8px; margin: 4px 0}
</style>"""


def block(*parts: str, old: bool = False) -> str:
    """HTML in the explorer's type; `old`: greyed and said to be so, for a state that is no longer shown."""
    said = '<div class="warn">Of an earlier state; being computed again.</div>' if old else ""
    return f'{STYLE}<div class="fx">{said}<div class="{"old" if old else "new"}">{"".join(parts)}</div></div>'


def note(text: str, kind: str = "note") -> str:
    """One sentence with a line at its side; nothing for no text."""
    return f'<div class="{kind}">{escape(text)}</div>' if text else ""


def stale(html: str) -> str:
    """What belongs to an earlier state: greyed, and said so."""
    return f'<div class="old" title="of an earlier state">{html}</div>' if html else ""


def folded(title: str, lines: list[str]) -> str:
    """Lines that open on demand; nothing for none."""
    inside = "".join(map(note, lines))
    return f"<details><summary>{escape(title)}</summary>{inside}</details>" if lines else ""


def picture(pixels: np.ndarray, width: int, alt: str, caption: str = "") -> str:
    """A picture (H, W, 3) uint8 at `width` screen pixels, nearest neighbour."""
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    source = base64.b64encode(data).decode()
    under = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (f'<figure style="width:{width}px"><img width="{width}" alt="{escape(alt)}" '
            f'src="data:image/png;base64,{source}">{under}</figure>')


def row(*parts: str) -> str:
    """Figures beside each other, below each other where there is no room."""
    return f'<div class="row">{"".join(parts)}</div>'


def svg(width: int, height: int, title: str, body: str) -> str:
    """A chart with a sentence for those who do not see it."""
    return (f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="DejaVu Sans, sans-serif" font-size="11">'
            f"<title>{escape(title)}</title>"
            f"{body}</svg>")


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK, size: int = 11) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">'
            f"{escape(words)}</text>")


def line(x1, y1, x2, y2, colour=INK, width=1.0, dash="") -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}" stroke-dasharray="{dash}"/>')


def path(points: np.ndarray, colour: str, dash="", width=1.8) -> str:
    """A line through points (N, 2)."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}" '
            f'points="{places}"/>')


def bar(x: float, y: float, width: float, height: float, colour: str = PLAIN) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def diamond(x: float, y: float, size: float = 5, colour: str = INK) -> str:
    """Where the present state is."""
    corners = f"M{x:.1f} {y - size:.1f}l{size} {size}l{-size} {size}l{-size} {-size}z"
    return f'<path d="{corners}" fill="{colour}"/>'


def strip(mark: Mark, values: np.ndarray | None) -> str:
    """A method's line: name, histogram of the faces to compare with, the score's place, in words too."""
    where = f"{ordinal(mark.percentile)} percentile" if mark.percentile is not None else "place not known yet"
    words, body = f"{mark.name}: {mark.value:.4g}, {where}", text(0, 15, mark.name)
    values = None if values is None else values[np.isfinite(values)]
    if values is not None and len(values):
        low, high = min(values.min(), mark.value), max(values.max(), mark.value)
        counts, _ = np.histogram(values, BINS, (low, high) if high > low else None)
        heights = 18 * counts / counts.max()
        body += "".join(bar(122 + 5 * i, 20 - h, 4.4, h, "#b9c7d3") for i, h in enumerate(heights))
        x = 122 + 5 * BINS * ((mark.value - low) / (high - low) if high > low else 0.5)
        body += line(x, 1, x, 20) + diamond(x, 20, 4)
    return svg(386, 26, words, body + text(252, 15, f"{mark.value:.4g}")
               + text(310, 15, where.replace(" percentile", " perc.")))


def now(shown: Frame) -> str:
    """The face as it is."""
    known = np.isfinite(shown.occlusion)
    seen = f"covered {shown.occlusion:.0%}, severity {shown.severity:.2f}" if known else "photograph"
    return picture(shown.pixels, 224, f"The face now: {seen}", f"now: {seen}")


def good(shown: Frame) -> str:
    """The reference without flaws."""
    return picture(shown.good, 112, "The good reference", "good reference")


def verdict(shown: Frame) -> str:
    """The decision in words, read aloud when it changes."""
    return (f'<div role="status" aria-live="polite" class="word">{escape(decision(shown))}</div>'
            + note(shown.problem, "warn"))


def decision(shown: Frame) -> str:
    """What the recogniser decides, in words."""
    if shown.similarity is None:
        return ""
    said = f"cosine {shown.similarity:.3f}"
    if shown.accepted is None:
        return said
    sign, word = ("≥", "MATCH") if shown.accepted else ("<", "NO MATCH")
    return f"{said} {sign} {shown.threshold:.3f}: {word} at FMR {shown.state.fmr:g} ({shown.state.preset})"


def components(marks: dict[str, Mark]) -> str:
    """Component measures as bars of their percentiles."""
    body, words = "", []
    for i, mark in enumerate(marks.values()):
        y, known = 16 * i, mark.percentile is not None
        body += text(0, y + 12, mark.name) + bar(90, y + 3, 200, 11, GRID)
        if known:
            body += bar(90, y + 3, 2 * mark.percentile, 11)
        body += text(296, y + 12, f"{mark.value:.3g}" + (f", {ordinal(mark.percentile)}" if known else ""))
        words.append(f"{mark.name} {ordinal(mark.percentile) if known else 'unknown'}")
    return svg(386, 16 * len(marks), "Component measures, percentiles: " + ", ".join(words), body)


class Axes:
    """A chart of 380 x 220 with labelled axes; `x` and `y` map values to places."""

    def __init__(self, x: tuple, y: tuple, labels: tuple[str, str], width=380, height=220, digits="{:.3g}"):
        self.width, self.height = width, height
        self.low, self.high = np.array([x[0], y[0]], float), np.array([x[1], y[1]], float)
        self.high = np.where(self.high > self.low, self.high, self.low + 1)
        self.body = line(60, height - 34, width - 8, height - 34, MUTED) + line(60, 8, 60, height - 34, MUTED)
        for share in (0, 0.25, 0.5, 0.75, 1):
            value = self.low + share * (self.high - self.low)
            a, b = self.place(*value)
            self.body += text(a, height - 20, digits.format(value[0]), "middle", MUTED) + text(
                56, b + 4, digits.format(value[1]), "end", MUTED) + line(60, b, width - 8, b, GRID)
        self.body += text((60 + width) / 2, height - 4, labels[0], "middle")
        self.body += f'<g transform="rotate(-90)">{text(-(height - 34) / 2, 11, labels[1], "middle")}</g>'

    def place(self, x, y):
        """Values as places on the screen."""
        share = (np.array([x, y], float).T - self.low) / (self.high - self.low)
        return (np.array([60, self.height - 34]) + share * np.array([self.width - 68, 42 - self.height])).T

    def line(self, x, y, colour, dash="", steps=False) -> "Axes":
        """Add a line; `steps`: it holds its value until the next point."""
        if steps:
            x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
        self.body += path(self.place(x, y).T, colour, dash)
        return self

    def svg(self, title: str) -> str:
        return svg(self.width, self.height, title, self.body)


def histogram(values: np.ndarray, label: str, title: str) -> str:
    """How often values occur, with their mean."""
    low, high = float(values.min()), float(values.max())
    pad = max((high - low) * 0.05, 1e-4)
    counts, edges = np.histogram(values, BINS, (low - pad, high + pad))
    axes = Axes((edges[0], edges[-1]), (0, counts.max()), (label, "number"), digits="{:.4g}")
    for count, left, right in zip(counts, edges[:-1], edges[1:]):
        (a, top), (b, bottom) = axes.place(left, count), axes.place(right, 0)
        axes.body += bar(a, top, b - a - 0.6, bottom - top)
    x, y = axes.place(float(values.mean()), 0)
    axes.body += line(x, 8, x, y, INK, 1.4) + text(x + 3, 18, "mean")
    return axes.svg(title)


def push_view(found: Push) -> str:
    """FaceQAN: noise, pushed face, histogram of S."""
    s = found.similarities
    said = (f"Q {found.mark.value:.3f}: {s.size} similarities with mean {s.mean():.4f} and deviation "
            f"{s.std():.4f}, symmetry {found.symmetry:.3f}")
    return note(said) + row(
        picture(found.delta, 224, "The adversarial noise, magnified",
                "noise x 200 around mid-grey; largest step "
                f"{found.largest:.2f} of 255 grey levels"),
        picture(found.pushed, 224, "The face with the noise", "the face with it: nobody sees a difference"),
        histogram(s.ravel(), "similarity S of pushed faces to the face", said))


TERMS = {"forward": "noisy", "backward": "repaired", "forward_flip": "noisy mirror",
         "backward_flip": "repaired mirror",
         "flip": "mirror"}


def repair_view(found: Repair) -> str:
    """DifFIQA: x_t, reconstruction, difference, five similarities."""
    means = {TERMS[name]: s.mean() for name, s in found.similarities.items()}
    n = len(next(iter(found.similarities.values())))
    listed = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
    said = f"q {found.mark.value:.3f} is the mean of {listed}"
    low = min(0.0, *means.values())
    body = ""
    for i, (name, value) in enumerate(means.items()):
        width = 200 * (value - low) / (1 - low)
        body += text(0, 20 * i + 14, name) + bar(110, 20 * i + 3, width, 14)
        body += text(316, 20 * i + 14, f"{value:.4f}")
    return note(said + f" (n = {n}).") + row(
        picture(found.noisy, 168, "The noisy face", f"x_t, t = {found.timestep}"),
        picture(found.repaired, 168, "The repaired face", "reconstruction"),
        picture(found.difference, 168, "What the repair changed", "change x 5 around mid-grey"),
        svg(386, 20 * len(means), said, body))


def curve_view(points: list[Point], flaw: str, mark_at: float, method: str, threshold: float | None) -> str:
    """A score and the similarity over one flaw."""
    if not points:
        return ""
    x, y = np.array([point.value for point in points]), np.array([point.score for point in points])
    said = (f"{method} from {y[0]:.4g} at {flaw} {x[0]:.3g} to {y[-1]:.4g} at {x[-1]:.3g}; {len(points)} of "
            "11 points")
    axes = Axes((x.min(), x.max()), (y.min(), y.max()), (flaw, method), digits="{:.4g}")
    axes.line(x, y, look(method).colour if method else PLAIN)
    axes.body += "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in axes.place(x, y).T)
    if x.min() <= mark_at <= x.max() and len(x) > 1:
        axes.body += diamond(*axes.place(mark_at, float(np.interp(mark_at, x, y))), 6)
    charts = [axes.svg(said)]
    if points[0].similarity is not None:
        s = np.array([point.similarity for point in points])
        low = min(s.min(), threshold if threshold is not None else s.min())
        other = Axes((x.min(), x.max()), (low, 1), (flaw, "cosine to the good reference"))
        other.line(x, s, PLAIN, "5 3")
        if threshold is not None:
            other.line([x.min(), x.max()], [threshold] * 2, INK)
            other.body += text(368, other.place(0, threshold)[1] - 4, f"threshold {threshold:.3f}", "end")
        charts.append(other.svg(f"cosine from {s[0]:.3f} to {s[-1]:.3f}"))
    return note(said) + row(*charts)


PRESET_DASH = {"iso": "", "paper": "5 3"}


def discard_view(found: Discarding, method: str) -> str:
    """An EDC under both presets, what has left, and the thresholds."""
    left = (f"{found.gone} of {found.genuine} genuine pairs have left: {found.errors} of {found.wrong} errors, "
            f"and {found.gone - found.errors} good pairs with them")
    said, charts = [left], []
    top = max([float(np.nanmax(curve.fnmr)) for curve in found.curves.values()], default=0)
    axes = Axes((0, 1), (0, top), ("share discarded", "FNMR (lower is better)"))
    levels = [curve.thresholds for curve in found.curves.values()]
    span = (min(map(np.nanmin, levels)), max(map(np.nanmax, levels))) if levels else (0, 1)
    other = Axes((0, 1), (span[0] - 0.01, span[1] + 0.01), ("share discarded", "threshold"))
    for preset, curve in found.curves.items():
        x, y = curve.steps()
        axes.line(x, np.nan_to_num(y), look(method).colour, PRESET_DASH[preset], steps=True)
        other.line(np.append(curve.discard, 1), np.append(curve.thresholds, curve.thresholds[-1]), INK,
                   PRESET_DASH[preset], steps=True)
        fnmr, threshold = found.now(preset)
        axes.body += diamond(*axes.place(found.at, np.nan_to_num(fnmr)), 5)
        other.body += diamond(*other.place(found.at, np.nan_to_num(threshold)), 5)
        said.append(f"{preset}: FNMR {fnmr:.3f} (at first {curve.fnmr0:.3f}), threshold {threshold:.3f}, "
                    f"pAUC to 0.3 {curve.pauc(0.3):.3f}")
    if "iso" in found.curves:
        axes.line([0, 1], [found.curves["iso"].fnmr0] * 2, MUTED, "1 3")
        axes.body += text(368, axes.place(0, found.curves["iso"].fnmr0)[1] - 4, "random", "end", MUTED)
    for chart, what in ((axes, "FNMR over discard"), (other, "threshold over discard")):
        charts.append(chart.svg(f"{what}; " + "; ".join(said)))
    lines = "".join(f"<div>{escape(words)}</div>" for words in said[1:])
    return (f'<div role="status" aria-live="polite">{note(left + ".")}{lines}</div>' + row(*charts)
            + "<div>Solid: iso, one threshold, genuine pairs. Dashed: paper, pairs of both kinds leave, and "
            "the threshold moves.</div>" + "".join(note(words, "warn") for words in found.problems))


def leaving_view(found: Discarding, pixels) -> str:
    """The pairs that leave next."""
    pictures = [figure(pixels[pair.a], pixels[pair.b], f"cosine {pair.similarity:.2f}: "
                       + ("ERROR leaves" if pair.error else "good pair leaves")) for pair in found.pairs]
    return "<div>Next to leave:</div>" + row(*pictures)


def figure(a: np.ndarray, b: np.ndarray, caption: str) -> str:
    """Two faces of one comparison."""
    return picture(np.concatenate([np.asarray(a), np.asarray(b)], axis=1), 168, f"A pair, {caption}", caption)


def brush_view(found: Brushed, x: str, y: str) -> str:
    """The scatter of two methods, brushed faces filled, and what spoils them."""
    axes = Axes((0, 100), (0, 100), (f"percentile by {x}", f"percentile by {y}"), digits="{:.0f}")
    places = axes.place(found.x, found.y).T
    for (a, b), chosen in zip(places, found.chosen):
        if np.isfinite(a + b):
            axes.body += (f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{4 if chosen else 2.5}" '
                          f'fill="{ALARM if chosen else "none"}" stroke="{INK if chosen else "#9aa"}"/>')
    other = found.y[found.chosen]
    said = f"{int(found.chosen.sum())} faces chosen by {x}"
    if np.isfinite(other).any():
        low, high = ordinal(np.nanmin(other)), ordinal(np.nanmax(other))
        said += f"; {y} has them between the {low} and the {high} percentile"
    body, words = "", []
    for i, (cause, (own, every)) in enumerate(list(found.causes.items())[:8]):
        body += text(0, 20 * i + 14, cause.replace("_", " ")) + bar(90, 20 * i + 3, 180 * own, 8, ALARM)
        body += bar(90, 20 * i + 12, 180 * every, 4, "#9aa")
        body += text(276, 20 * i + 14, f"{own:.0%}, of all {every:.0%}")
        words.append(f"{cause} {own:.0%} against {every:.0%}")
    causes = svg(386, 20 * min(len(found.causes), 8), "True causes, chosen faces against all: "
                 + ", ".join(words), body) \
        if found.causes else note("The true causes of these faces are not known.")
    return note(said + ".") + row(axes.svg(said), causes)
