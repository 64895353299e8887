"""What one image costs each method of a suite: how many passes through which network."""
from collections.abc import Iterator

from fiqa_core.doctor.checkpoints import official
from fiqa_core.doctor.machine import ASSUMED, CERTAINTY, Machine
from fiqa_core.doctor.networks import Pass, architecture_pass, diffusion_pass, recogniser_pass, restorer_pass
from fiqa_core.loading import ARCHITECTURES
from fiqa_core.pipeline.suites import CLASSES
from fiqa_core.reporting.names import REFERENCE_LINES
from fiqa_core.weights.place import checkpoint_path

SECTIONS = ("methods", "training_free", "baselines", "distilled", "analytical")
LINE = 0.001  # seconds per image of a reference line; the fewest that matter
BACKWARD = 1  # a gradient for the picture costs as much as a forward pass
EMBEDDING_LAYER = 25088 * 512  # multiply-adds of the layer that SER-FIQ repeats, in the papers' recognisers
BY_NAME = {name.lower(): name for name in ARCHITECTURES}
# Methods whose official network is not built under a name of its own, and one of much the same size.
ALIKE = {"sdd_fiqa": "curricularface_ir50", "faceqnet": "iresnet50"}


class Costs:
    """Seconds per image of the networks and methods of one suite on one machine."""

    def __init__(self, suite: dict, machine: Machine):
        self.suite, self.machine = suite, machine
        self._passes: dict[str, Pass] = {}

    def slugs(self) -> list[str]:
        """The methods that score the benchmarks, in the suite's order."""
        return list(dict.fromkeys(slug for section in SECTIONS for slug in self.suite.get(section) or {}))

    def options(self, slug: str) -> dict:
        """What the suite says about a method, whichever section it stands in."""
        found = [(self.suite.get(section) or {}).get(slug) for section in SECTIONS if section != "analytical"]
        return next((options for options in found if options), {})

    def recogniser_pass(self, slug: str) -> Pass:
        """The network of a recogniser of the suite."""
        if slug not in self._passes:
            self._passes[slug] = recogniser_pass(self.suite["recognisers"][slug])
        return self._passes[slug]

    def recogniser(self, slug: str) -> tuple[float, str]:
        """Seconds of a forward pass of a recogniser, and how they are known."""
        return self.machine.pass_seconds(self.recogniser_pass(slug))

    def diffusion(self) -> tuple[float, str]:
        """Seconds of one evaluation of the U-Net."""
        return self.machine.pass_seconds(self.diffusion_pass())

    def diffusion_pass(self) -> Pass:
        """The U-Net of the suite; the published one where it names none or a checkpoint."""
        if "" not in self._passes:
            self._passes[""] = diffusion_pass(self.suite.get("diffusion") or {})
        return self._passes[""]

    def method(self, slug: str, **changes) -> tuple[float, str]:
        """Seconds per image of a method; `changes` override its options."""
        if slug in REFERENCE_LINES:
            return LINE, ASSUMED
        found = [(count, *self.machine.pass_seconds(network))
                 for network, count in self.passes(slug, **changes)]
        return (sum(count * seconds for count, seconds, _ in found),
                max((basis for *_, basis in found), key=CERTAINTY.index))

    def learner(self, slug: str) -> tuple[float, str]:
        """Seconds of a forward pass of what is trained for a method: LightQNet learns beside a teacher."""
        seconds, basis = self.method(slug)
        if slug != "lightqnet":
            return seconds, basis
        teacher, other = self.recogniser(self.suite["scoring"]["recogniser"])
        return seconds + teacher, max(basis, other, key=CERTAINTY.index)

    def passes(self, slug: str, **changes) -> Iterator[tuple[Pass, float]]:
        """Networks that a method runs on an image, and how often each."""
        options = {**self.options(slug), **changes}
        if slug not in CLASSES:
            yield self.one_pass(slug, options), 1
            return
        network = self.recogniser_pass(options.get("recogniser") or self.suite["scoring"]["recogniser"])
        if slug == "diffiqa":
            n = options.get("repeats", 10)
            yield self.diffusion_pass(), 2 * n * options.get("timestep", 5)  # picture and mirror image
            yield network, 2 + 4 * n
        else:
            yield network, recogniser_passes(slug, options, network)

    def one_pass(self, slug: str, options: dict) -> Pass:
        """The network of a method that scores in one pass: its official file's, or its backbone's."""
        if "backbone" in options:
            return self.recogniser_pass(options["backbone"])
        if "checkpoint" in options:
            return architecture_pass(architecture_of(slug, options))
        if slug == "faceqgen":
            return restorer_pass(options)
        if slug == "lightqnet":
            return architecture_pass(f"lightqnet_{options.get('width', 'dm100')}")
        return self.recogniser_pass(options.get("recogniser") or self.suite["scoring"]["recogniser"])


def recogniser_passes(slug: str, options: dict, network: Pass) -> float:
    """How often a training-free method runs its recogniser on an image, in forward passes."""
    if slug == "faceqan":
        k, l = options.get("repeats", 10), options.get("iterations", 5)
        return k * ((l - 1) * (1 + BACKWARD) + 1) + 2  # the last of l examples needs no gradient
    if slug == "ser_fiq":
        layer = min(EMBEDDING_LAYER, network.parameters)
        return 1 + options.get("repeats", 100) * layer / network.adds
    return {"grafiqs": 1 + 2 * BACKWARD, "prefiqs": 2}.get(slug, 1)


def architecture_of(slug: str, options: dict) -> str:
    """Name of the network of a method's official file."""
    model = official(checkpoint_path(options["checkpoint"]))
    named = (model and model.architecture) or options.get("model", slug)
    return BY_NAME.get(named.lower()) or ALIKE[slug]
