"""The explorer in JupyterLab and Voila: the only module that knows widgets. Show `Explorer()` in a cell.

Every change of a control makes a new state. What takes milliseconds is drawn at once; what takes longer waits
until the user pauses, in one asyncio task that a newer state cancels between its steps. What belongs to
an earlier state is greyed meanwhile and says so.
"""
import asyncio
from functools import partial

from IPython.display import Javascript, display
from ipywidgets import (HTML, BoundedFloatText, BoundedIntText, Box, Button, Dropdown, FileUpload,
                        FloatRangeSlider, FloatSlider, Layout, Tab, VBox, jslink)

from fiqa_core.base.errors import FiqaError
from fiqa_core.explore import panes, saving, views
from fiqa_core.explore.discarding import brushed, discarding
from fiqa_core.explore.frame import curve, frame, push, repair
from fiqa_core.explore.kit import kit_of, recognisers
from fiqa_core.explore.portrait import crop_of
from fiqa_core.explore.reference import reference_of, references
from fiqa_core.explore.state import FMRS, NEUTRAL, PRESETS, STEPS, UNITS, State
from fiqa_core.rendering.nuisance import CAUSES

PAUSE = 0.15                # seconds without an event, after which slow work begins
REST = 0.005                # seconds between two steps, in which the kernel takes the user's next wish
TABS = ("Push", "Repair", "Curve", "Discard", "Set", "Save")
PUSH, REPAIR, CURVE, DISCARD, SET, SAVE = range(6)
LARGEST = 2 ** 31 - 1       # of numbers in boxes; browsers round longer ones
SHOWN = 12                  # faces of the tab Set

# ipywidgets leaves the handles of sliders without a name for screen readers: they get the slider's tooltip.
NAMES = """
new MutationObserver(() => document.querySelectorAll('.noUi-handle:not([aria-label])').forEach(handle => {
  const slider = handle.closest('.widget-slider'), ends = slider.querySelectorAll('.noUi-handle');
  const end = ends.length > 1 ? [' from', ' to'][[...ends].indexOf(handle)] : '';
  handle.setAttribute('aria-label', slider.querySelector('label').title + end);
})).observe(document.body, {childList: true, subtree: true});
"""


def wide(**options) -> Layout:
    """A layout that never makes the page wider than the window."""
    return Layout(**{"min_width": "0", "max_width": "100%", **options})


def rows(*children, **options) -> Box:
    """Widgets beside each other, below each other where there is no room."""
    return Box(children, layout=wide(**{"flex_flow": "row wrap", "align_items": "flex-start", **options}))


class Explorer:
    """The whole panel. state: a State, or the text or path of a saved one; None: the default."""

    def __init__(self, state: State | str | None = None):
        self.state = state if isinstance(state, State) else saving.load(state) if state else State()
        self.past, self.last, self.setting, self.task, self.jobs = [], "", False, None, None
        self.shown, self.slow, self.points, self.left = None, {}, (None, []), ""
        self._build()
        self.panel = VBox([self.top, self.message, self.main, self.tabs], layout=wide(overflow="hidden"))
        self._follow()
        self._write_controls()
        self._draw()

    def _ipython_display_(self):
        """What a cell shows: the panel."""
        display(Javascript(NAMES), self.panel)

    # What there is to see and touch

    def _build(self) -> None:
        self.seed = BoundedIntText(min=0, max=LARGEST, description="person", layout=wide(width="190px"))
        self.style_box = BoundedIntText(min=0, max=LARGEST, description="scene", layout=wide(width="190px"))
        self.upload = FileUpload(accept="image/*", description="Photograph", layout=wide(width="170px"))
        self.rendered = self._button("Back to rendered faces", self._to_rendered)
        self.recogniser = Dropdown(description="recogniser", layout=wide(width="330px"))
        self.benchmark = Dropdown(description="compare with", style={"description_width": "96px"},
                                  layout=wide(width="340px"))
        self.preset = Dropdown(options=PRESETS, description="preset", layout=wide(width="170px"))
        self.fmr = Dropdown(options=FMRS, description="FMR", layout=wide(width="170px"))
        self.top = rows(self.seed, self.style_box, self.upload, self.rendered, self.recogniser,
                        self.benchmark, self.preset, self.fmr)
        self.message, self.now, self.good, self.verdict, self.scores = (HTML(layout=wide()) for _ in range(5))
        self.sliders, self.boxes = {}, {}
        for cause, (harmless, low, high, _) in CAUSES.items():
            self.boxes[cause], self.sliders[cause] = self._dial(UNITS.get(cause, cause), harmless, low, high,
                                                                STEPS[cause])
        buttons = rows(self._button("No flaws", self._reset), self._button("Undo", self._undo),
                       self._button("Another person", self._another))
        dials = (rows(self.boxes[cause], self.sliders[cause], flex_flow="row nowrap") for cause in CAUSES)
        controls = VBox([buttons, *dials], layout=wide(flex="1 1 320px", max_width="420px"))
        seen = rows(VBox([rows(self.now, self.good), self.verdict], layout=wide(flex="0 1 372px")),
                    VBox([self.scores], layout=wide(flex="1 1 390px", max_width="600px")), flex="1 1 390px")
        self.main = rows(controls, seen)
        self._build_tabs()

    def _button(self, name: str, run) -> Button:
        button = Button(description=name, layout=wide(width="auto"))
        button.on_click(lambda _: self._guarded(run))
        return button

    def _dial(self, name: str, value: float, low: float, high: float, step: float):
        """A number box with a name for keyboard and screen reader, and a slider always at its value."""
        box = BoundedFloatText(value=value, min=low, max=high, step=step, description=name,
                               style={"description_width": "92px"}, layout=wide(flex="0 0 172px"))
        slider = FloatSlider(value=value, min=low, max=high, step=step, readout=False, tooltip=name,
                             layout=wide(flex="1 1 120px", width="auto"))
        jslink((slider, "value"), (box, "value"))
        return box, slider

    def _build_tabs(self) -> None:
        self.panes = [HTML(layout=wide()) for _ in TABS]
        self.more = self._button("Ten repeats instead", partial(self._start, self._ten_repeats))
        self.flaw = Dropdown(options=list(CAUSES), description="flaw")
        self.draw_curve = self._button("Draw the curve", partial(self._start, self._curve_points))
        self.methods = [Dropdown(description="method") for _ in (CURVE, DISCARD, SET)]
        self.other = Dropdown(description="against")
        self.discard_box, self.discard = self._dial("discard", 0.0, 0.0, 0.95, 0.01)
        self.leaving = HTML(layout=wide())
        self.brush = FloatRangeSlider(min=0, max=100, step=1, readout=False, tooltip="percentiles",
                                      layout=wide(flex="1 1 160px"))
        self.low, self.high = (BoundedFloatText(
            min=0, max=100, step=1, description=name, layout=wide(width="190px"),
            style={"description_width": "100px"}) for name in ("from percentile", "to percentile"))
        self.faces = [(HTML(), self._button("Load", partial(self._load_face, i))) for i in range(SHOWN)]
        slots = rows(*(VBox(slot, layout=wide(width="auto")) for slot in self.faces))
        self.restore = FileUpload(accept=".json", description="Load a state", layout=wide(width="170px"))
        save = self._button("Save pictures, numbers and state", self._save)
        above = ([], [rows(self.more)], [rows(self.flaw, self.methods[0], self.draw_curve)],
                 [rows(self.methods[1], self.discard_box, self.discard)],
                 [rows(self.methods[2], self.other), rows(self.low, self.high, self.brush)],
                 [rows(save, self.restore)])
        below = {DISCARD: [self.leaving], SET: [slots]}
        self.tabs = Tab([VBox([*above[i], self.panes[i], *below.get(i, [])], layout=wide())
                         for i in range(len(TABS))], titles=TABS, layout=wide())

    def _follow(self) -> None:
        """Every control changes one thing of the state."""
        for cause, slider in self.sliders.items():
            self._watch(slider, cause, lambda value, cause=cause: {cause: float(value)})
        single = {self.style_box: "style", self.recogniser: "recogniser", self.benchmark: "benchmark",
                  self.preset: "preset", self.fmr: "fmr", self.flaw: "flaw", self.other: "other",
                  self.discard: "discard", **dict.fromkeys(self.methods, "method")}
        for widget, name in single.items():
            self._watch(widget, name, lambda value, name=name: {name: value})
        self._watch(self.seed, "seed", lambda value: {"seed": value, "of": 1, "row": 0})
        self._watch(self.brush, "brush", lambda value: {"brush": tuple(map(float, value))})
        for end, widget in enumerate((self.low, self.high)):
            self._watch(widget, "brush", partial(self._one_end, end))
        self.upload.observe(lambda change: self._guarded(self._take_photo), "value")
        self.restore.observe(lambda change: self._guarded(self._take_state), "value")
        self.tabs.observe(lambda change: self._draw(), "selected_index")

    def _one_end(self, end: int, value: float) -> dict:
        ends = list(self.state.brush)
        ends[end] = value
        return {"brush": (min(ends), max(ends))}

    # From an event to a state

    def _watch(self, widget, name: str, changes) -> None:
        """Let a new value of a widget change the state by `changes(value)`."""
        def on(event):
            if not self.setting and event["new"] is not None:
                self._guarded(lambda: self._go(self.state.but(**changes(event["new"])), name))
        widget.observe(on, "value")

    def _guarded(self, run) -> None:
        """Run; where the user's wish cannot be, say why in one sentence: the state stays what it was."""
        try:
            run()
        except (FiqaError, OSError) as error:
            said = f"{error.problem}; {error.remedy}." if isinstance(error, FiqaError) else str(error)
            self.message.value = views.block(views.note(said, "warn"))
            self._write_controls()

    def _go(self, state: State, name: str = "") -> None:
        """Show another state. Changes of one control in a row are undone together."""
        if state == self.state:
            return
        if not name or name != self.last:
            self.past.append(self.state)
        self.last, self.state = name, state
        if name not in CAUSES:
            self._write_controls()
        self._draw()

    def _undo(self) -> None:
        if self.past:
            self.state, self.last = self.past.pop(), ""
            self._write_controls()
            self._draw()

    def _reset(self) -> None:
        self._go(self.state.but(flaws=NEUTRAL))

    def _another(self) -> None:
        self._go(self.state.but(seed=self.state.seed + 1, of=1, row=0, picture=b"", picture_name=""))

    def _to_rendered(self) -> None:
        self._go(self.state.but(picture=b"", picture_name=""))

    def _take_photo(self) -> None:
        if self.upload.value:
            file = self.upload.value[0]
            crop = crop_of(bytes(file["content"]), file["name"])
            self._go(self.state.but(picture=crop.tobytes(), picture_name=file["name"], flaws=NEUTRAL))

    def _take_state(self) -> None:
        if self.restore.value:
            self._go(saving.load(bytes(self.restore.value[0]["content"])))

    def _load_face(self, slot: int) -> None:
        held = brushed(self._with_method(SET), self.kit, self.compared).rows
        if slot < len(held):
            self._go(self.compared.state_of(int(held[slot]), self.state))

    def _save(self) -> None:
        marks = {slug: found.mark for slug, (key, found) in self.slow.items() if key == self._key()}
        paths = saving.save(self.shown, marks, self.kit, self.compared)
        said = f"Written to {paths[0].parent}: {', '.join(path.name for path in paths)}."
        self.panes[SAVE].value = views.block(views.note(said))

    def _write_controls(self) -> None:
        """All controls to what the state says, without an event."""
        self.setting = True
        try:
            state, found, sets = self.state, recognisers(), references()
            self.kit = kit_of(state.recogniser)
            self.compared = reference_of(state.benchmark if state.benchmark in sets else next(iter(sets)))
            self.recogniser.options = [(choice.name, key) for key, choice in found.items()] or [("none", "")]
            self.recogniser.value = self.kit.choice.key if self.kit.choice else ""
            self.benchmark.options = [(name, key) for key, name in sets.items()]
            self.benchmark.value = self.compared.name
            names = [(scorer.name, slug) for slug, scorer in self.kit.scorers.items()]
            for widget, slug in [*((each, state.method) for each in self.methods), (self.other, state.other)]:
                widget.options = names
                widget.value = slug if slug in self.kit.scorers else names[0][1]
            self.seed.value, self.style_box.value = state.seed, state.style if state.style <= LARGEST else 0
            self.preset.value, self.fmr.value, self.flaw.value = state.preset, state.fmr, state.flaw
            self.discard.value = self.discard_box.value = state.discard
            self.brush.value = (self.low.value, self.high.value) = state.brush
            for cause in CAUSES:
                for widget in (self.sliders[cause], self.boxes[cause]):
                    widget.value, widget.disabled = state[cause], cause not in state.movable()
            self.seed.disabled, self.rendered.disabled = bool(state.picture), not state.picture
        finally:
            self.setting = False

    # From a state to what is seen

    def _key(self) -> tuple:
        """What slow results depend on."""
        return self.state.seen(), self.state.recogniser, self.compared.name

    def _with_method(self, tab: int) -> State:
        """The state with the methods that a tab shows: the first there is, where the state's is not here."""
        return self.state.but(method=self.methods[tab - CURVE].value, other=self.other.value)

    def _draw(self) -> None:
        """All that is quick, now; the rest after a pause."""
        self.shown = frame(self.state, self.kit, self.compared)
        self.message.value = views.block(panes.banner(self.state, self.kit))
        self.now.value = views.block(views.now(self.shown))
        self.good.value = views.block(views.good(self.shown))
        self.verdict.value = views.block(views.verdict(self.shown))
        self._draw_scores()
        self._draw_tab()
        self._start()

    def _draw_scores(self) -> None:
        self.scores.value = panes.scores(self.shown, self.slow, self._key(), self.kit, self.compared)

    def _draw_tab(self) -> None:
        index = self.tabs.selected_index or 0
        draw = {PUSH: partial(self._draw_slow, "faceqan", views.push_view, PUSH),
                REPAIR: partial(self._draw_slow, "diffiqa", views.repair_view, REPAIR),
                CURVE: self._draw_curve, DISCARD: self._draw_discard, SET: self._draw_set}.get(index)
        try:
            if draw:
                draw()
        except FiqaError as error:
            self.panes[index].value = views.block(views.note(f"{error.problem}; {error.remedy}.", "warn"))

    def _draw_slow(self, slug: str, view, pane: int) -> None:
        self.panes[pane].value = panes.slow(slug, view, self.slow, self._key(), self.kit)

    def _curve_key(self) -> tuple:
        state = self.state.but(**{self.state.flaw: CAUSES[self.state.flaw][0]})
        return state.seen(), self.state.recogniser, self.state.flaw, self.methods[0].value

    def _draw_curve(self) -> None:
        self.panes[CURVE].value = panes.curve(*self.points, self._curve_key(), self.shown, self.kit)

    def _draw_discard(self) -> None:
        state = self._with_method(DISCARD)
        found = discarding(state, self.kit, self.compared)
        name = self.kit.scorers[state.method].name
        self.panes[DISCARD].value = views.block(views.discard_view(found, name))
        self.leaving.value = views.block(views.stale(self.left))

    def _draw_set(self) -> None:
        state = self._with_method(SET)
        found = brushed(state, self.kit, self.compared)
        names = (self.kit.scorers[slug].name for slug in (state.method, state.other))
        self.panes[SET].value = views.block(views.brush_view(found, *names))
        for slot, (shown, button) in enumerate(self.faces):
            here = slot < len(found.rows)
            for widget in (shown, button):
                widget.layout.display = "" if here else "none"
            if here:
                row, faces = int(found.rows[slot]), self.compared.faces
                name = str(faces.images["image_id"].iloc[row])
                shown.value = views.block(views.picture(faces.pixels[row], 112, f"Face {name}", name))
                button.description = f"Load {slot + 1}"

    # After a pause

    def _start(self, *first) -> None:
        """Begin slow work anew; `first` comes before all other. Without a running loop nothing is begun."""
        if self.task:
            self.task.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self.task = loop.create_task(self._idle(*first))

    async def _idle(self, *first) -> None:
        """What waits for a pause: what was asked for, slow methods, leaving pairs, faces to compare with."""
        await asyncio.sleep(PAUSE)
        for work in (*first, self._push, self._repair, self._leaving, self._compare):
            try:
                for _ in work():
                    await asyncio.sleep(REST)
            except (FiqaError, OSError) as error:
                self.message.value = views.block(views.note(str(getattr(error, "problem", error)), "warn"))

    def _slow(self, slug: str, work):
        if slug in self.kit.scorers and self.slow.get(slug, (None,))[0] != self._key():
            self.slow[slug] = self._key(), work(self.shown.pixels, self.kit, self.compared)
            self._draw_scores()
            self._draw_tab()
        yield

    def _push(self):
        yield from self._slow("faceqan", push)

    def _repair(self):
        yield from self._slow("diffiqa", repair)

    def _ten_repeats(self):
        """DifFIQA with as many repeats as in the papers; it has no place, since the others have fewer."""
        self.panes[REPAIR].value = views.block(views.note("Computing ten repeats."))
        yield
        found = repair(self.shown.pixels, self.kit, self.compared, 10)
        self.panes[REPAIR].value = views.block(views.repair_view(found))

    def _curve_points(self):
        self.points = self._curve_key(), []
        for point in curve(self.state, self.kit, self.methods[0].value):
            self.points[1].append(point)
            self._draw_tab()
            yield

    def _leaving(self):
        if self.tabs.selected_index == DISCARD:
            found = discarding(self._with_method(DISCARD), self.kit, self.compared)
            self.left = views.leaving_view(found, self.compared.faces.pixels)
            self.leaving.value = views.block(self.left)
        yield

    def _compare(self):
        """The faces to compare with, from where the last pause ended."""
        owner = self.kit, self.compared
        if self.jobs is None or self.jobs[0] != owner:
            self.jobs = owner, self.compared.work(self.kit)
        known = len(self.compared.scores), len(self.compared.embeddings)
        for said in self.jobs[1]:
            self.message.value = views.block(panes.banner(self.state, self.kit), views.note(said + "."))
            now = len(self.compared.scores), len(self.compared.embeddings)
            if now != known:
                known = now
                self._refresh()
            yield
        if self.jobs[1]:
            self.jobs = owner, ()
            self._refresh()
            self.message.value = views.block(panes.banner(self.state, self.kit))
        yield

    def _refresh(self) -> None:
        """Draw the same state again: more is known of the faces to compare with."""
        self.shown = frame(self.state, self.kit, self.compared)
        for slug, work in (("faceqan", push), ("diffiqa", repair)):
            key, found = self.slow.get(slug, (None, None))
            if key == self._key() and found.mark.percentile is None:
                self.slow[slug] = key, work(self.shown.pixels, self.kit, self.compared)
        self.verdict.value = views.block(views.verdict(self.shown))
        self._draw_scores()
        self._draw_tab()
