"""Every architecture: the authors' keys, and the outputs of the authors' code for the same weights."""
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.loading import architectures, build_model, release_name
from fiqa_core.recognisers.swin import BRANCHES, TASKS
from fiqa_core.recognisers.zoo import CATALOGUE
from fiqa_core.weights.fit import Undrawn
from tests.helpers.golden_networks import MANIFESTS, checksum, deviations, fill, golden, keys_agree

IN_EVERY_RUN = ("iresnet18", "adaface_ir18", "curricularface_ir101", "insightface_vit_t", "transface_vit_t",
                "swinface_backbone", "swinface_full", "mobilefacenet_xiaoccer", "mobilefacenet_foamliu",
                "mobilefacenet_ediffiqa", "mobilefacenet_curricularface", "insightface_mbf", "ediffiqa_T",
                "ediffiqa_mlp", "crfiqa_iresnet50", "diffiqa_unet")
HEAVY = tuple(name for name in MANIFESTS if golden(name) and name not in IN_EVERY_RUN)
TRANSFORMERS = ("insightface_vit", "transface", "swinface")


def limit(name):
    """Two runs of the authors' code differ by up to 5e-6, other eps of the batch norms by 7e-5."""
    return 5e-6 if name.startswith(TRANSFORMERS) else 2e-5


def outline(name):
    """An architecture without memory for its values."""
    with torch.device("meta"), Undrawn():
        return architectures()[release_name(name)]()


@pytest.mark.parametrize("name", MANIFESTS)
def test_keys_shapes_and_types_are_those_of_the_official_checkpoints(name):
    assert keys_agree(name, outline(name))


def test_every_manifest_has_an_architecture():
    assert len(MANIFESTS) == 41 and {*map(release_name, MANIFESTS)} <= set(architectures())


def check(name):
    """Same weights, hence the same checksum; same outputs."""
    network, wanted = build_model(name), golden(name)
    state = network.state_dict()
    fill(state)
    if "fill_checksum" in wanted:
        assert checksum(state) == pytest.approx(tuple(wanted["fill_checksum"]), rel=1e-7, abs=1e-3)
    found = deviations(name, network, wanted)
    assert found and max(found.values()) < limit(name), found


@pytest.mark.parametrize("name", IN_EVERY_RUN)
def test_outputs_equal_the_authors(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_outputs_of_the_large_networks_equal_the_authors(name):
    check(name)


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name.startswith("magface")])
def test_magface_differs_from_iresnet_in_its_batch_norms(name):
    """The same keys: only the values of eps and momentum tell the two apart."""
    norms = [layer for layer in outline(name).modules()
             if isinstance(layer, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d))]
    assert norms and {(norm.eps, norm.momentum) for norm in norms} == {(2e-5, 0.9)}


def test_a_built_network_is_in_evaluation_mode():
    assert not build_model("ediffiqa_mlp").training


@pytest.mark.parametrize("wrong, near", [("iresnet19", "iresnet18"), ("ediffiqa_x", "ediffiqa_l"),
                                         ("adaface", "adaface_ir18"), ("!", "diffiqa_unet")])
def test_an_unknown_name_is_answered_with_names_like_it(wrong, near):
    with pytest.raises(FiqaError, match=f"{wrong}(.|\n)*{near}"):
        build_model(wrong)


def test_swinface_lists_every_task_once():
    assert len(TASKS) == 42 and sorted(TASKS) == sorted(task for branch in BRANCHES for task in branch)
    assert TASKS[5] == "Gender" and TASKS[10] == "Bald" and TASKS[-2:] == ("Wearing Necktie", "Expression")
