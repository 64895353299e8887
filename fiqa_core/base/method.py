"""What a quality method says of itself, once, in the file that holds it; everything else follows from it."""
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature

from fiqa_core.base.options import kinds_like_each, kinds_of

# Sections of params.yaml that hold methods: one for each set of inputs that their stages read.
SECTIONS = ("on_recogniser", "on_diffusion", "distilled", "trained", "on_pixels")


@dataclass(frozen=True)
class Method:
    """One quality method: images (B, 3, 112, 112) float32 RGB in [0, 1] -> scores (B,), higher is better.

    slug       names its files and stages, and its line in params.yaml; name: as the papers print it
    build      build(*needs, **options) -> the method. That of a trained one, build(backbone, **arguments) or
               build(**arguments), is its empty network, which keeps its arguments as attributes: its file
               holds them and the weights
    needs      what it is built on, of "recogniser" and "diffusion", in the order of `build`'s arguments; or
               "model": it is a network with weights of its own
    train      train(faces, recogniser, config, checkpoint, device, log) -> the trained method. None of a "model"
               with `training`: it learns from DifFIQA's scores by distillation
    training   options of the training, with their defaults
    released   name of a published file -> what builds the empty network that it fills
    translate  tensors of a published file -> the same under the network's names; {} of names it does not know
    passes     (options, network) -> forward passes an image through what it needs, a tuple where it needs
               several; `network` tells `parameters` and `adds` (multiply-adds) of a recogniser. None: one
    learns     (options, images) -> how many faces a training on so many images looks at without a gradient,
               with one, and (may be left out) beside a teacher that learns too. None: all in every epoch,
               with a gradient
    paper      options of the paper, where a suite may choose cheaper ones
    protocol   of the training faces that it learns from; "": the suite's first
    """

    slug: str
    name: str
    build: Callable
    needs: tuple[str, ...] = ()
    train: Callable | None = None
    training: dict = field(default_factory=dict)
    released: dict[str, Callable] = field(default_factory=dict)
    translate: Callable | None = None
    passes: Callable | None = None
    learns: Callable | None = None
    paper: dict = field(default_factory=dict)
    protocol: str = ""

    @property
    def section(self) -> str:
        """Where in params.yaml its line stands, one of SECTIONS."""
        if "model" in self.needs:
            return "distilled" if self.training and not self.train else "trained"
        return "on_diffusion" if "diffusion" in self.needs else "on_recogniser" if self.needs else "on_pixels"

    def options(self) -> dict:
        """What its line may say, with the defaults: of its training, else arguments of `build`."""
        if "model" in self.needs:
            return dict(self.training)
        parameters = list(signature(self.build).parameters.values())[len(self.needs):]
        return {parameter.name: parameter.default for parameter in parameters}

    def kinds(self) -> dict[str, tuple[type, ...]]:
        """Types that each of the options may have, see `base.options`."""
        if "model" in self.needs:
            return kinds_like_each(self.training)
        found = kinds_of(self.build)
        return {name: found[name] for name in self.options()}

    def cost(self, options: dict, network=None) -> tuple[float, ...]:
        """Forward passes an image through each of `needs`, where `options` override the defaults."""
        found = self.passes({**self.options(), **options}, network) if self.passes else 1
        return found if isinstance(found, tuple) else (found,) * len(self.needs)

    def effort(self, options: dict, images: int) -> tuple[int, int, int]:
        """What `learns` tells, where `options` override the defaults of the training."""
        chosen = {"epochs": 1, **self.training, **options}
        looks, lessons, *taught = self.learns(chosen, images) if self.learns else (0, chosen["epochs"] * images)
        return looks, lessons, sum(taught)
