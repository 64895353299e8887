"""Official files into our networks: wrappers, foreign names, strict keys, and what a wrong file is told."""
import numpy as np
import pytest
import torch

import fiqa_core
from fiqa_core.errors import FiqaError
from fiqa_core.images import read_image, to_batch
from fiqa_core.recognisers.embedding import embed
from fiqa_core.weights.fit import architectures, load_strictly, outline
from fiqa_core.weights.foreign import iresnet_of_mxnet
from fiqa_core.weights.tensors import read_tensors
from fiqa_core.weights.unwrap import unwrap
from tests import weights_writers as writers
from tests.shared import shared_path

KEYS = ("conv1.weight", "layer1.0.bn1.weight", "fc.weight", "fc.bias", "features.weight", "features.bias")
STATE = {key: torch.full((number + 1,), float(number)) for number, key in enumerate(KEYS)}
HEAD = torch.zeros(9, 4)


def prefixed(prefix, state=STATE):
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize("content", [
    STATE,
    {"epoch": 68, "net_state_dict": STATE},
    {"state_dict": {**prefixed("model."), "head.kernel": HEAD, "head.t": HEAD, "head.batch_mean": HEAD,
                    "head.batch_std": HEAD}, "optimizer_states": [], "hyper_parameters": {"lr": 0.1}},
    {"epoch": 25, "arch": "iresnet100", "state_dict": {**prefixed("features.module."), "parallel_fc.weight": HEAD}},
    {"state_dict": {**prefixed("module.features."), "module.fc.weight": HEAD}},
    {"state_dict": {**prefixed("features."), "fc.weight": HEAD}},
    prefixed("module."),
    prefixed("backbone."),
    {**prefixed("base_model."), "mlp.l1.weight": HEAD, "mlp.l1.bias": HEAD, "mlp.l2.weight": HEAD,
     "mlp.l2.bias": HEAD},
    {"step": 3, "model": prefixed("module."), "ema": prefixed("ema_model."), "opt": {}, "scaler": None},
    {"state_dict_backbone": STATE, "state_dict_fam": {"a": HEAD}, "state_dict_tss": {"b": HEAD},
     "state_dict_om": {"c": HEAD}}])
def test_wrappers_and_prefixes_of_the_official_files(content):
    found = unwrap(content, STATE)
    assert found.keys() == STATE.keys() and all(found[key] is STATE[key] for key in KEYS)


def test_swinfaces_four_dicts_make_the_full_model():
    parts = {part: {"weight": torch.zeros(number + 1)} for number, part in enumerate(("backbone", "fam", "tss", "om"))}
    wanted = {f"{part}.weight": state["weight"] for part, state in parts.items()}
    assert unwrap({f"state_dict_{part}": state for part, state in parts.items()}, wanted).keys() == wanted.keys()


def test_what_lies_beside_a_prefix_and_is_no_known_head_is_reported():
    found = unwrap({**prefixed("module."), "strange.weight": HEAD}, STATE)
    assert found.keys() == {*STATE, "strange.weight"}


def xiaoccer(**changes):
    return {**fiqa_core.build_model("mobilefacenet_xiaoccer").state_dict(), **changes}


def message(file, name="mobilefacenet_xiaoccer"):
    with pytest.raises(FiqaError) as caught:
        fiqa_core.load_recogniser(name, file)
    return str(caught.value)


def test_a_file_of_another_architecture_is_told_which(tmp_path):
    torch.save(fiqa_core.build_model("mobilefacenet_foamliu").state_dict(), tmp_path / "a.pth")
    assert message(tmp_path / "a.pth") == (
        f"{tmp_path}/a.pth as mobilefacenet_xiaoccer: "
        "333 missing of 333: conv1.conv.weight, conv1.bn.weight, conv1.bn.bias, conv1.bn.running_mean, ...; "
        "307 unexpected of 307: conv1.0.weight, conv1.1.weight, conv1.1.bias, conv1.1.running_mean, ...\n"
        "  remedy: the file fits: mobilefacenet_foamliu; load it under that name")


def test_a_file_with_wrong_keys_and_shapes_is_told_which(tmp_path):
    state = xiaoccer(extra=torch.zeros(1), **{"conv2.conv.weight": torch.zeros(512, 64, 1, 1)})
    del state["linear1.bn.bias"]
    torch.save({"net_state_dict": state}, tmp_path / "a.ckpt")
    assert message(tmp_path / "a.ckpt") == (
        f"{tmp_path}/a.ckpt as mobilefacenet_xiaoccer: 1 missing of 333: linear1.bn.bias; "
        "1 unexpected of 333: extra; "
        "1 mis-shaped of 333: conv2.conv.weight (512, 64, 1, 1) instead of (512, 128, 1, 1)\n"
        "  remedy: it fits no known architecture; nearest: mobilefacenet_xiaoccer, with 99% of the keys")


def test_a_file_that_was_cut_short(tmp_path):
    torch.save(xiaoccer(), tmp_path / "a.pth")
    (tmp_path / "a.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:1_000_000])
    assert message(tmp_path / "a.pth") == (
        f"{tmp_path}/a.pth is damaged or cut short (zip archive): File is not a zip file\n"
        "  remedy: fetch the file again and compare its size")


def test_a_file_that_holds_more_than_tensors(tmp_path):
    torch.save({"state_dict": xiaoccer(), "hyper_parameters": tmp_path}, tmp_path / "a.ckpt")
    assert message(tmp_path / "a.ckpt") == (
        f"{tmp_path}/a.ckpt holds more than plain tensors, and loading it whole could run code: "
        f"{type(tmp_path).__module__}.PosixPath\n"
        "  remedy: rewrite it once without running anything: python -m fiqa_core weights convert "
        f"{tmp_path}/a.ckpt {tmp_path}/a.tensors.pth")


def test_a_download_that_is_a_web_page(tmp_path):
    (tmp_path / "a.pth").write_text("<!DOCTYPE html><html><head><title>Google Drive</title>")
    assert message(tmp_path / "a.pth") == (
        f"{tmp_path}/a.pth is a web page, no weights\n"
        "  remedy: download the file itself; Google Drive first wants its warning about size confirmed")


def test_a_file_of_nothing_like_a_network(tmp_path):
    torch.save({"a": torch.zeros(2), "b": torch.zeros(3)}, tmp_path / "a.pth")
    assert message(tmp_path / "a.pth").endswith(
        "2 unexpected of 2: a, b\n  remedy: it fits no known architecture; check that it holds the network itself")
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    assert message(tmp_path / "a.pth") == (f"{tmp_path}/a.pth as mobilefacenet_xiaoccer: there is no tensor in it\n"
                                           "  remedy: give the file of the weights themselves")


def test_twins_are_named_together():
    """IResNets of three papers share keys and shapes; only the name can tell them apart."""
    with torch.device("meta"):
        network = fiqa_core.build_model("adaface_ir50")
    with pytest.raises(FiqaError, match="the file fits: iresnet50, elasticface_iresnet50, magface_iresnet50; load"):
        load_strictly(network, outline("iresnet50"), "backbone.pth as adaface_ir50")


@pytest.mark.slow
def test_every_architecture_recognises_its_own_file():
    for name in architectures():
        with torch.device("meta"):
            network = fiqa_core.build_model(name)
        load_strictly(network, {"state_dict": prefixed("module.", outline(name))}, name)


def test_a_network_stays_as_it_was_where_the_file_does_not_fit():
    network = torch.nn.Linear(2, 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(FiqaError):
        load_strictly(network, {"weight": torch.ones(2, 2), "bias": torch.ones(3)}, "file")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_relative_paths_are_looked_up_in_the_weights_folder(tmp_path, monkeypatch):
    (tmp_path / "some").mkdir()
    torch.save(xiaoccer(), tmp_path / "some" / "net.pth")
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path))
    assert fiqa_core.load_recogniser("mobilefacenet_xiaoccer", "some/net.pth").embedding_size == 128


def mxnet_names(state):
    """IResNet's state under MXNet's names, by the table of the insightface symbol."""
    leaves = {"running_mean": "moving_mean", "running_var": "moving_var"}
    found = {}
    for key, value in state.items():
        layer, leaf = key.rsplit(".", 1)
        if leaf == "num_batches_tracked":
            continue
        norm = layer.endswith(("bn1", "bn2", "bn3", "features", "downsample.1"))
        leaf = leaves.get(leaf) or {"weight": "gamma" if norm or "prelu" in layer else "weight",
                                    "bias": "beta" if norm else "bias"}[leaf]
        if layer.startswith("layer"):
            stage, unit, inner = layer[5:].split(".", 2)
            inner = {"prelu": "relu1", "downsample.0": "conv1sc", "downsample.1": "sc"}.get(inner, inner)
            layer = f"stage{stage}_unit{int(unit) + 1}_{inner}"
        else:
            layer = {"conv1": "conv0", "bn1": "bn0", "prelu": "relu0", "bn2": "bn1", "fc": "pre_fc1",
                     "features": "fc1"}[layer]
        found[f"{'aux' if 'moving' in leaf else 'arg'}:{layer}_{leaf}"] = value
    return found


def small_iresnet():
    from fiqa_core.recognisers.iresnet import IResNet
    torch.manual_seed(0)
    network = IResNet((1, 2), widths=(16, 32), size=16, embedding=8, stem_stride=2, eps=2e-5)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return network.eval()


def test_mxnets_parameters_fill_an_iresnet(tmp_path):
    network, empty = small_iresnet(), small_iresnet()
    with torch.no_grad():
        network.features.weight.fill_(1)
    names = mxnet_names(network.state_dict())
    names["arg:fc1_gamma"] = torch.full((8,), 5.0)          # the symbol fixes it at 1, whatever the file says
    writers.mxnet(tmp_path / "net-0000.params", names)
    load_strictly(empty, read_tensors(tmp_path / "net-0000.params"), "net-0000.params")
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(empty(images), network(images))
    assert iresnet_of_mxnet({"arg:stage1_unit1_se_weight": HEAD}).keys() == {"layer1.0.se.weight"}


MOBILEFACENETS = {"foamliu": "mobilefacenet_foamliu_ms1m.pth", "xiaoccer": "mobilefacenet_xiaoccer_casia_112x96.pth",
                  "mxnet": "mobilefacenet_insightface_mxnet.pth"}
SLUGS = {"mxnet": "mobilefacenet_insightface_mxnet"}
QUALITY = ("025", "050", "100")


def reference():
    """The reference values and their 20 faces, uint8 (20, 112, 112, 3)."""
    golden = np.load(shared_path("faces/reference_golden.npz"))
    return golden, np.stack([read_image(shared_path(f"faces/{path}")) for path in golden["paths"]])


@pytest.mark.parametrize("name", MOBILEFACENETS)
def test_trained_recognisers_give_the_reference_embeddings(name):
    golden, pixels = reference()
    slug = SLUGS.get(name, f"mobilefacenet_{name}")
    recogniser = fiqa_core.load_recogniser(slug, shared_path(f"weights/{MOBILEFACENETS[name]}"))
    found, wanted = embed(recogniser, pixels, "cpu", batch=20, flip=False), golden[f"emb_{name}"]
    scale = np.abs(found).max() / np.abs(wanted).max()      # the reference may be of unit length
    assert np.abs(found / scale - wanted).max() < 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("width", QUALITY)
def test_trained_lightqnets_give_the_golden_scores_in_every_format(tmp_path, width):
    file = shared_path(f"weights/lightqnet/lightqnet_dm{width}.pth")
    tensors = read_tensors(file)
    constants = {**tensors, "UncertaintyModule/MobilenetV3/AvgPool/shape": torch.tensor([1, 6])}
    short = {name.removeprefix("UncertaintyModule/MobilenetV3/"): value for name, value in tensors.items()}
    writers.tensorflow_graph(tmp_path / "a.pb", constants)
    writers.npz(tmp_path / "a.npz", short)
    golden, pixels = reference()
    scores = []
    for path in (file, tmp_path / "a.pb", tmp_path / "a.npz"):
        method = fiqa_core.load_quality(f"lightqnet_dm{width}", path)
        images = np.random.default_rng(7).uniform(-1, 1, (2, 96, 96, 3)).astype(np.float32)
        with torch.no_grad():
            found = method.network(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
        wanted = np.load(shared_path("golden/realweights.npz"))[f"lightqnet/dm{width}/random"]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        scores.append(method(to_batch(pixels)))
    np.testing.assert_allclose(scores[0].numpy(), golden[f"lightqnet_{width}"], atol=2e-3)
    assert torch.equal(scores[0], scores[1]) and torch.equal(scores[0], scores[2])
