"""Networks that ship: written in half precision, found by name, refused where the file is not the manifest's."""
import numpy as np
import pytest
import torch

from fiqa_core import loading
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.recognisers.zoo import recogniser_from_config
from fiqa_core.weights import shipped
from fiqa_core.weights.shipped import Shipped

SMALL = {"network": "iresnet", "name": "Small", "blocks": [1], "widths": [16], "size": 28, "embedding": 8,
         "stem_stride": 2, "colour": "bgr"}
ROW = dict.fromkeys(("parameters", "people", "images", "protocol", "accuracy", "fnmr_fmr1e2", "fnmr_fmr1e3", "genuine",
                     "impostor", "command", "commit"), "1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of shipped networks of its own: a recogniser and a diffusion model."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    torch.manual_seed(3)
    small, diffusion = recogniser_from_config(SMALL), Diffusion(dim=8, multipliers=(1, 2), size=28, heads=1, head_dim=4)
    shipped.write_network(small.network, "recogniser", small.config, tmp_path / "small.safetensors")
    shipped.write_network(diffusion, "diffusion", diffusion.config, tmp_path / "diffusion.safetensors")
    shipped.write_manifest({name: Shipped(name=name, kind=kind, sha256=sha256(tmp_path / f"{name}.safetensors"), **ROW)
                            for name, kind in (("small", "recogniser"), ("diffusion", "diffusion"))})
    return tmp_path, small, diffusion


def test_a_network_comes_back_in_half_precision_and_its_buffers_whole(folder):
    _, small, diffusion = folder
    for written, read in ((small.network, loading.load_shipped("small").network),
                          (diffusion, loading.load_shipped("diffusion"))):
        trained = dict(written.named_parameters())
        for name, value in read.state_dict().items():
            expected = written.state_dict()[name]
            assert torch.equal(value, expected.half().float() if name in trained else expected), name
    images = torch.from_numpy(np.random.default_rng(0).random((2, 3, 112, 112), np.float32))
    same = torch.cosine_similarity(loading.load_shipped("small")(images), small.freeze()(images))
    assert same.min() > 0.9999


@pytest.mark.parametrize("damage, told", [
    (lambda file: file.unlink(), "is missing"),
    (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"), "is damaged or another file than the manifest names"),
    (lambda file: (file.parent / "manifest.csv").unlink(), "no network 'small' ships"),
    (lambda file: (file.parent / "manifest.csv").write_text("name,other\nsmall,1\n"), "is damaged")])
def test_a_file_that_is_not_the_manifests_is_refused_with_a_remedy(folder, damage, told):
    damage(folder[0] / "small.safetensors")
    with pytest.raises(FiqaError, match=told) as error:
        loading.load_shipped("small")
    assert "git checkout" in str(error.value)


def test_an_unknown_name_is_told_those_there_are(folder):
    with pytest.raises(FiqaError) as error:
        loading.load_shipped("large")
    assert "small, diffusion" in str(error.value)


def test_a_network_beyond_half_precision_does_not_ship(folder):
    tmp_path, small, _ = folder
    with torch.no_grad():
        small.network.fc.weight[0, 0] = 1e6
    with pytest.raises(FiqaError, match="fc.weight is not finite in half precision"):
        shipped.write_network(small.network, "recogniser", small.config, tmp_path / "small.safetensors")
