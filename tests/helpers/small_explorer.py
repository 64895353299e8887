"""A project with a small recogniser and a small diffusion model of random weights, to explore with."""
import shutil
from pathlib import Path

from fiqa_core.explore import kit, portrait, reference
from fiqa_core.explore.frame import rendered_good
from fiqa_core.loading import save_diffusion
from tests.helpers.small_networks import diffusion
from tests.helpers.small_project import ROOT, small_project


def small_explorer(folder: Path) -> None:
    """Write it to `folder`; FIQA_ROOT must name it. Its set of faces has no scores of the suite."""
    small_project(folder, 12, on_recogniser__faceqan__repeats=2, on_recogniser__faceqan__iterations=3,
                  on_recogniser__ser_fiq__dropout=0.4, on_diffusion__diffiqa__timestep=2)
    (folder / "build" / "demo" / "diffusion").mkdir()
    save_diffusion(diffusion(), folder / "build" / "demo" / "diffusion" / "0.pt")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "explorer.ipynb", folder / "notebooks")
    forget()


def forget() -> None:
    """What the explorer keeps of another project."""
    for kept in (kit.suite, kit.recognisers, kit._kit, kit.load_choice,
                 reference.references, kit.network_digest, reference.reference_of, portrait.cast,
                 rendered_good):
        kept.cache_clear()
