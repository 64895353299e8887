"""Official files into our networks: wrappers, foreign names, strict keys, and what a wrong file is told."""
import shutil

import numpy as np
import pytest
import torch

import fiqa_core.loading
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import read_image, to_batch
from fiqa_core.cli import main
from fiqa_core.loading import architectures, load_strictly, outline
from fiqa_core.recognisers.iresnet import from_mxnet
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.weights.fit import Undrawn
from fiqa_core.weights.tensors import read_tensors
from fiqa_core.weights.unwrap import unwrap
from tests.helpers import weights_writers as writers
from tests.helpers.shared import shared_path

FEW = ("iresnet18", "iresnet50", "elasticface_iresnet50", "magface_iresnet50", "adaface_ir50",
       "swinface_backbone", "swinface_full",
       "mobilefacenet_xiaoccer", "mobilefacenet_foamliu", "ediffiqa_t", "lightqnet_dm025")
KEYS = ("conv1.weight", "layer1.0.bn1.weight", "fc.weight", "fc.bias", "features.weight", "features.bias")
STATE = {key: torch.full((number + 1,), float(number)) for number, key in enumerate(KEYS)}
HEAD = torch.zeros(9, 4)


@pytest.fixture
def few(monkeypatch):
    """Only some architectures, so that advice about a wrong file does not build all of them."""
    kept = {name: fiqa_core.loading.architectures()[name] for name in FEW}
    monkeypatch.setattr(fiqa_core.loading, "architectures", lambda: kept)


def prefixed(prefix, state=STATE):
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize("content", [
    STATE,
    {"epoch": 68, "net_state_dict": STATE},
    {"state_dict": {**prefixed("model."), "head.kernel": HEAD, "head.t": HEAD, "head.batch_mean": HEAD,
                    "head.batch_std": HEAD}, "optimizer_states": [], "hyper_parameters": {"lr": 0.1}},
    {"epoch": 25, "arch": "iresnet100", "optimizer": {},
     "state_dict": {**prefixed("features.module."), "parallel_fc.weight": HEAD}},
    {"state_dict": {**prefixed("module.features."), "module.fc.weight": HEAD}},
    {"state_dict": {**prefixed("features."), "fc.weight": HEAD}},
    prefixed("module."),
    prefixed("backbone."),
    prefixed("_orig_mod."),                                                     # of torch.compile
    prefixed("module._orig_mod."),
    {"layer1._orig_mod.0.bn1.weight" if key == KEYS[1] else key: value for key, value in STATE.items()},
    {"epoch": 1, "model_state_dict": prefixed("_orig_mod.module.")},
    {"model": {"backbone": prefixed("network."), "head": {"fc.weight": HEAD}}, "optimizer_state_dict": {}},
    {"net": {"state_dict": prefixed("net.")}},
    {"epoch": 7, "params_ema": prefixed("module.")},
    {"state_dict": STATE, "state_dict_ema": {key: value + 1 for key, value in STATE.items()}},
    {**prefixed("base_model."), "mlp.l1.weight": HEAD, "mlp.l1.bias": HEAD, "mlp.l2.weight": HEAD,
     "mlp.l2.bias": HEAD},
    {"step": 3, "model": prefixed("module."), "ema": prefixed("ema_model."), "opt": {}, "scaler": None},
    {"state_dict_backbone": STATE, "state_dict_fam": {"a": HEAD}, "state_dict_tss": {"b": HEAD},
     "state_dict_om": {"c": HEAD}}])
def test_wrappers_and_prefixes_of_the_official_files(content):
    found = unwrap(content, STATE)
    assert found.keys() == STATE.keys() and all(found[key] is STATE[key] for key in KEYS)


def without_memory(name):
    """The network of an architecture on torch's meta device."""
    with torch.device("meta"):
        return fiqa_core.build_model(name)


@pytest.mark.parametrize("name", ["swinface_full", "swinface_backbone"])
def test_swinfaces_four_dicts_make_the_full_model_and_the_recogniser(name, few):
    full = outline("swinface_full")
    parts = {f"state_dict_{part}": {key.removeprefix(f"{part}."): value for key, value in full.items()
                                    if key.startswith(f"{part}.")}
             for part in ("backbone", "fam", "tss", "om")}
    assert sum(map(len, parts.values())) == 473
    load_strictly(without_memory(name), {"epoch": 3, **parts}, "checkpoint_step_79999_gpu_0.pt")


@pytest.mark.parametrize("name, wrap", [
    ("adaface_ir50", lambda keys: {"state_dict": {**prefixed("model.", keys), "head.kernel": HEAD}}),
    ("magface_iresnet50", lambda keys: {"state_dict": {**prefixed("features.module.", keys),
                                                       "parallel_fc.weight": HEAD}}),
    ("magface_iresnet50", lambda keys: {"state_dict": {**prefixed("module.features.", keys),
                                                       "module.fc.weight": HEAD}}),
    ("ediffiqa_t", lambda keys: prefixed("module.", keys))])
def test_wrappers_around_the_real_keys(name, wrap, few):
    """MagFace's last batch norm is itself called `features`, eDifFIQA's backbone keeps its `base_model.`."""
    load_strictly(without_memory(name), wrap(outline(name)), name)


def test_a_network_that_is_there_twice_has_to_be_the_same():
    copy = {key: value.clone() for key, value in STATE.items()}
    assert unwrap({"model": STATE, "net": copy}, STATE) == STATE
    other = {key: value + 1 for key, value in STATE.items()}
    with pytest.raises(FiqaError, match="twice, with different weights: under 'model' and 'net'"):
        unwrap({"epoch": 3, "model": STATE, "net": other}, STATE)


OLD = {"before torch 0.4.1": lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
       "half precision": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
       "double precision": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
       "profiled": lambda s: s | {"total_ops": torch.zeros(1), "conv1.bn.total_params": torch.zeros(1)}}


@pytest.mark.parametrize("kind", OLD)
def test_what_torch_itself_loads_is_loaded(kind, tmp_path, capsys):
    state = {key: value.half().to(value.dtype) for key, value in xiaoccer().items()}
    torch.save({"model_state_dict": prefixed("_orig_mod.", OLD[kind](state))}, tmp_path / "a.pth")
    found = fiqa_core.load_recogniser("mobilefacenet_xiaoccer", tmp_path / "a.pth").network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert all(found[key].dtype == value.dtype for key, value in state.items())
    assert ("2 counters of a profiler are left out" in capsys.readouterr().err) == (kind == "profiled")


def test_what_lies_beside_a_prefix_and_is_no_known_head_is_reported():
    found = unwrap({**prefixed("module."), "strange.weight": HEAD}, STATE)
    assert found.keys() == {*STATE, "strange.weight"}


def xiaoccer(**changes):
    return {**fiqa_core.build_model("mobilefacenet_xiaoccer").state_dict(), **changes}


def foamliu():
    return fiqa_core.build_model("mobilefacenet_foamliu").state_dict()


def spoilt():
    state = xiaoccer(extra=torch.zeros(1), **{"conv2.conv.weight": torch.zeros(512, 64, 1, 1)})
    del state["linear1.bn.bias"]
    return {"net_state_dict": state}


def infinite():
    return xiaoccer(**{"conv1.bn.running_var": torch.full((64,), torch.inf)})


AS, NO = "FILE as mobilefacenet_xiaoccer: ", "it fits no known architecture; "
FOAMLIU = "the file fits: mobilefacenet_foamliu; load it under that name"


@pytest.mark.parametrize("content, problem, remedy", [
    (foamliu, AS + "283 missing of 283: conv1.conv.weight, conv1.bn.weight, conv1.bn.bias, "
     "conv1.bn.running_mean, ...; 307 unexpected of 307: conv1.0.weight, conv1.1.weight, conv1.1.bias, "
     "conv1.1.running_mean, ...", FOAMLIU),
    (lambda: {"epoch": 1, "state_dict": prefixed("module.", foamliu())}, AS + "283 missing of 283: "
     "conv1.conv.weight, conv1.bn.weight, conv1.bn.bias, conv1.bn.running_mean, ...; 307 unexpected of 307: "
     "module.conv1.0.weight, module.conv1.1.weight, module.conv1.1.bias, module.conv1.1.running_mean, ...",
     FOAMLIU),
    (spoilt, AS + "1 missing of 333: linear1.bn.bias; 1 unexpected of 333: extra; 1 mis-shaped of 333: "
     "conv2.conv.weight (512, 64, 1, 1) instead of (512, 128, 1, 1)",
     NO + "nearest: mobilefacenet_xiaoccer, with 99% of the keys"),
    (lambda: {"a": torch.zeros(2), "b": torch.zeros(3)}, AS + "283 missing of 283: conv1.conv.weight, "
     "conv1.bn.weight, conv1.bn.bias, conv1.bn.running_mean, ...; 2 unexpected of 2: a, b",
     NO + "check that it holds the network itself"),
    (lambda: {"epoch": 3}, AS + "there is no tensor in it", "give the file of the weights themselves"),
    (infinite, AS + "1 not finite of 333: conv1.bn.running_var",
     "fetch the file again, or train the network anew: no score of it would mean anything")])
def test_a_file_that_does_not_fit_is_told_why_and_what_to_do(tmp_path, few, content, problem, remedy):
    torch.save(content(), tmp_path / "a.pth")
    with pytest.raises(FiqaError) as caught:
        fiqa_core.load_recogniser("mobilefacenet_xiaoccer", tmp_path / "a.pth")
    assert caught.value.problem.replace(str(tmp_path / "a.pth"), "FILE") == problem
    assert caught.value.remedy == remedy


def test_a_file_that_holds_more_than_tensors_is_told_the_command(tmp_path):
    torch.save({"state_dict": xiaoccer(), "hyper_parameters": tmp_path}, tmp_path / "a.ckpt")
    with pytest.raises(FiqaError) as caught:
        fiqa_core.load_recogniser("mobilefacenet_xiaoccer", tmp_path / "a.ckpt")
    assert str(caught.value) == (
        f"{tmp_path}/a.ckpt holds more than plain tensors, and loading it whole could run code: "
        f"{type(tmp_path).__module__}.PosixPath\n"
        "  remedy: rewrite it once without running anything: python -m fiqa_core weights convert "
        f"{tmp_path}/a.ckpt {tmp_path}/a.tensors.pth")


def test_twins_are_named_together(few):
    """IResNets of three papers share keys and shapes; only the name can tell them apart."""
    twins = "iresnet50, elasticface_iresnet50, magface_iresnet50"
    with pytest.raises(FiqaError, match=f"the file fits: {twins}; load it under that name"):
        load_strictly(without_memory("adaface_ir50"), outline("iresnet50"), "backbone.pth as adaface_ir50")


@pytest.mark.slow
def test_every_architecture_recognises_its_own_file():
    for name in architectures():
        load_strictly(without_memory(name), {"state_dict": prefixed("module.", outline(name))}, name)


@pytest.mark.slow
def test_a_wrong_file_is_compared_with_every_architecture():
    assert len(architectures()) >= 41
    with pytest.raises(FiqaError, match="the file fits: ediffiqa_l, iresnet100, elasticface_iresnet100"):
        load_strictly(torch.nn.Linear(2, 2), {"model": outline("ediffiqa_l")}, "ediffiqaL.pth")


def test_loading_draws_no_initial_weights_and_keeps_none(tmp_path):
    state = xiaoccer()
    torch.save(state, tmp_path / "a.pth")
    before = torch.get_rng_state()
    loaded = fiqa_core.load_recogniser("mobilefacenet_xiaoccer", tmp_path / "a.pth").network.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    with Undrawn():
        assert fiqa_core.build_model("lightqnet_dm025").state_dict()["blocks.1.expand.bn.weight"].eq(1).all()


def test_undrawn_weights_are_zero_even_where_memory_is_not():
    """A truncated normal on memory full of something else would draw for ever."""
    weight = torch.nn.Parameter(torch.full((4, 4), 1e9))
    with Undrawn():
        torch.nn.init.trunc_normal_(weight, std=0.02)
    assert weight.eq(0).all()


def test_a_network_stays_as_it_was_where_the_file_does_not_fit(few):
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
    assert from_mxnet({"arg:stage1_unit1_se_weight": HEAD}).keys() == {"layer1.0.se.weight"}


MOBILEFACENETS = {"foamliu": "mobilefacenet_foamliu_ms1m.pth",
                  "xiaoccer": "mobilefacenet_xiaoccer_casia_112x96.pth",
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
    assert found.shape == (20, 128)
    assert torch.cosine_similarity(torch.from_numpy(found), torch.from_numpy(wanted)).min() > 0.999999


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
    np.testing.assert_allclose(scores[0].numpy(), golden[f"lightqnet_{width}"], atol=1e-5)
    assert torch.equal(scores[0], scores[1]) and torch.equal(scores[0], scores[2])


def test_a_folder_is_scored_with_the_authors_graph(tmp_path):
    tensors = read_tensors(shared_path("weights/lightqnet/lightqnet_dm025.pth"))
    golden, _ = reference()
    (tmp_path / "faces").mkdir()
    for number in range(3):
        shutil.copy(shared_path(f"faces/{golden['paths'][number]}"), tmp_path / "faces" / f"{number}.jpg")
    writers.tensorflow_graph(tmp_path / "lightqnet-dm025.pb", tensors)
    assert main(["score", str(tmp_path / "faces"), "--method", "lightqnet_dm025", "--model",
                 str(tmp_path / "lightqnet-dm025.pb"), "--out", str(tmp_path / "scores.csv")]) == 0
    scores = [float(line.split(",")[1]) for line in (tmp_path / "scores.csv").read_text().splitlines()[1:]]
    np.testing.assert_allclose(scores, golden["lightqnet_025"][:3], atol=1e-3)
