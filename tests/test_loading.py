"""Files of every kind of trained method: what was saved scores alike, what is wrong is refused."""
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.loading import load_published, load_quality, save_quality
from fiqa_core.methods.froq import FROQ
from fiqa_core.methods.sdd_fiqa import official_network
from fiqa_core.recognisers.zoo import recogniser_from_config
from fiqa_core.weights.catalogue import find_model
from fiqa_core.weights.fit import Undrawn
from tests.helpers.small_networks import NETWORK, trained


def test_a_file_that_lacks_a_weight_is_refused(tmp_path):
    model, recogniser = trained("pcnet")
    save_quality(model, "pcnet", recogniser, tmp_path / "m.pt")
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    del content["state"]["head.0.bias"]
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(FiqaError, match="1 missing"):
        load_quality("pcnet", tmp_path / "m.pt")


def test_the_authors_file_of_sdd_fiqa_loads_under_its_own_keys(tmp_path):
    with Undrawn():
        network = official_network()
    assert sum(p.numel() for p in network.parameters()) == 30_777_537          # the dossier's count
    assert len(network.state_dict()) == 340
    keys = {key: key.removeprefix("trunk.network.") for key in network.state_dict()}
    released = {f"module.{name}" if not name.startswith("head.") else
                f"module.quality.{int(name.split('.')[1]) + 1}.{name.split('.')[2]}": network.state_dict()[key]
                for key, name in keys.items()}
    torch.save(released, tmp_path / "SDD_FIQA_checkpoints_r50.pth")
    loaded = load_quality("sdd_fiqa", tmp_path / "SDD_FIQA_checkpoints_r50.pth")
    assert loaded(torch.rand(2, 3, 112, 112)).shape == (2,)
    del released["module.quality.3.bias"]
    torch.save(released, tmp_path / "cut.pth")
    with pytest.raises(FiqaError, match="1 missing"):
        load_quality("sdd_fiqa", tmp_path / "cut.pth")


def test_an_authors_file_without_a_network_here_is_refused(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "pcnet.pt")
    with pytest.raises(FiqaError, match="no network here"):
        load_quality("pcnet", tmp_path / "pcnet.pt")


def test_froq_names_unknown_layers():
    with pytest.raises(FiqaError, match="lacks"):
        FROQ(recogniser_from_config(NETWORK), ["nothing"])


@pytest.mark.parametrize("slug, loader, arguments", [
    ("adaface_ir101_webface12m", "load_recogniser", ["adaface_ir101"]), ("sface", "load_recogniser", ["sface"]),
    ("cr_fiqa_l", "load_quality", ["cr_fiqa_l"]), ("faceqnet_v1", "load_quality", ["faceqnet"]),
    ("pfe_ms1m", "load_quality", ["pfe"]), ("diffiqa", "load_diffusion", []), ("yunet", "load_detector", [])])
def test_each_kind_of_official_file_is_loaded_by_its_loader(monkeypatch, tmp_path, slug, loader, arguments):
    seen = []
    monkeypatch.setattr(f"fiqa_core.loading.{loader}", lambda *given: seen.append(list(given)))
    load_published(find_model(slug), tmp_path / "file")
    assert seen == [[*arguments, tmp_path / "file"]]
