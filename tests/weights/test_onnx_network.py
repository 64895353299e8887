"""ONNX models in the places of our own networks: torch's numbers, and a clear word where they cannot go."""
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_pixels
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.loading import load_quality, load_recogniser, save_recogniser
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.weights.tensors import read_tensors
from tests.helpers.small_networks import faces

SIDE = 14                           # the models see 8x8 pixels averaged into one


def model(path, outputs, batch="N"):
    """An ONNX model: images (batch, 3, 112, 112) averaged to 14x14, then one linear layer per output width.

    Returns the matrices (3 * 14 * 14, width).
    """
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((3 * SIDE * SIDE, width)).astype(np.float32) / 10 for width in outputs]
    nodes = [helper.make_node("AveragePool", ["images"], ["small"], kernel_shape=[8, 8], strides=[8, 8]),
             helper.make_node("Flatten", ["small"], ["flat"])]
    nodes += [helper.make_node("MatMul", ["flat", f"w{number}"], [f"out{number}"])
              for number in range(len(outputs))]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 112, 112])],
        [helper.make_tensor_value_info(f"out{number}", TensorProto.FLOAT, [batch, width])
         for number, width in enumerate(outputs)],
        [numpy_helper.from_array(matrix, f"w{number}") for number, matrix in enumerate(matrices)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, path)
    return [torch.from_numpy(matrix) for matrix in matrices]


def by_hand(prepared, matrix):
    return torch.nn.functional.avg_pool2d(prepared, 8).flatten(1) @ matrix


@pytest.mark.parametrize("batch", ["N", 1])
def test_a_recogniser_prepares_images_as_its_architecture_says(tmp_path, batch):
    matrix, = model(tmp_path / "net.onnx", [512], batch)
    images = faces(3)
    for name, prepared in (("iresnet50", 2 * images - 1), ("magface_iresnet50", images.flip(1))):
        recogniser = load_recogniser(name, tmp_path / "net.onnx")
        torch.testing.assert_close(recogniser(images), by_hand(prepared, matrix), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["adaface_ir18", "swinface_backbone"])
def test_a_model_exported_with_its_embedding_alone_is_taken_at_its_word(tmp_path, name):
    matrix, = model(tmp_path / "net.onnx", [512])
    images, recogniser = faces(2), load_recogniser(name, tmp_path / "net.onnx")
    prepared = 2 * (images.flip(1) if name.startswith("adaface") else images) - 1
    torch.testing.assert_close(recogniser(images), by_hand(prepared, matrix), atol=1e-5, rtol=1e-4)
    assert embed(recogniser, to_pixels(images)).shape == (2, 512)


def test_sface_sees_rgb_in_grey_levels(tmp_path):
    matrix, = model(tmp_path / "sface.onnx", [128], 1)
    recogniser = load_recogniser("sface", tmp_path / "sface.onnx")
    assert (recogniser.name, recogniser.embedding_size) == ("SFace", 128)
    torch.testing.assert_close(recogniser(faces(2)), by_hand(255 * faces(2), matrix), atol=1e-3, rtol=1e-4)


def test_a_quality_network_with_and_without_its_embedding(tmp_path):
    images = faces(3)
    quality, = model(tmp_path / "tiny.onnx", [1], 1)
    method = load_quality("ediffiqa_t", tmp_path / "tiny.onnx")
    torch.testing.assert_close(method(images), by_hand(2 * images - 1, quality)[:, 0], atol=1e-5, rtol=1e-4)
    assert method.embed_and_score(images)[0].shape == (3, 0) and method(images[:0]).shape == (0,)
    embedding, quality = model(tmp_path / "both.onnx", [512, 1])
    found, score = load_quality("ediffiqa_L", tmp_path / "both.onnx").embed_and_score(images)
    torch.testing.assert_close(found, by_hand(2 * images - 1, embedding), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(score, by_hand(2 * images - 1, quality)[:, 0], atol=1e-5, rtol=1e-4)


def test_faceqan_is_told_that_there_are_no_gradients(tmp_path):
    model(tmp_path / "net.onnx", [512])
    recogniser = load_recogniser("iresnet50", tmp_path / "net.onnx")
    with pytest.raises(FiqaError, match="net.onnx is an ONNX model and has no gradients, which FaceQAN"):
        FaceQAN(recogniser, iterations=2, repeats=1)(faces(1))


def test_models_that_do_not_fit_are_described(tmp_path):
    model(tmp_path / "net.onnx", [512])
    whole = (tmp_path / "net.onnx").read_bytes()
    for load, message in (
            (lambda path: load_recogniser("sface", path), "embeddings of 512 numbers instead of 128"),
            (lambda path: load_recogniser("nonsense", path), "'nonsense' is no known architecture"),
            (lambda path: load_quality("lightqnet_dm050", path), "'lightqnet_dm050' comes in no such form"),
            (lambda path: load_quality("ediffiqa_t", path)(faces(1)), "none of which is one number"),
            (read_tensors, "is an ONNX model: it runs as it is and fills no network of ours")):
        with pytest.raises(FiqaError, match=f"net.onnx.*{message}"):
            load(tmp_path / "net.onnx")
    for part in (0.3, 0.7, 0.99):
        (tmp_path / "cut.onnx").write_bytes(whole[:int(part * len(whole))])
        with pytest.raises(FiqaError, match="cut.onnx is no ONNX model that onnxruntime runs"):
            load_recogniser("iresnet50", tmp_path / "cut.onnx")


def test_other_inputs_are_refused(tmp_path):
    graph = helper.make_graph([helper.make_node("Identity", ["words"], ["out"])], "test",
                              [helper.make_tensor_value_info("words", TensorProto.FLOAT, [1, 7])],
                              [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 7])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
              tmp_path / "words.onnx")
    with pytest.raises(FiqaError, match=r"words.onnx takes \[\('words', \[1, 7\]\)\], not images"):
        load_recogniser("iresnet50", tmp_path / "words.onnx")


def test_an_onnx_recogniser_goes_through_the_pipeline_as_one_file(tmp_path):
    model(tmp_path / "sface.onnx", [128], 1)
    images, recogniser = faces(3), load_recogniser("sface", tmp_path / "sface.onnx")
    save_recogniser(recogniser, tmp_path / "saved.pt")
    (tmp_path / "sface.onnx").unlink()
    again = load_recogniser("a slug of the pipeline", tmp_path / "saved.pt")
    assert torch.equal(again(images), recogniser(images))
    assert again.name == "SFace" and float(again.std) == pytest.approx(1 / 255)
    save_recogniser(again, tmp_path / "twice.pt")
    assert torch.equal(load_recogniser("x", tmp_path / "twice.pt")(images), recogniser(images))


@pytest.mark.parametrize("weight", [
    numpy_helper.from_array(np.array([1, np.nan], np.float32), "spoilt"),
    helper.make_tensor("spoilt", TensorProto.FLOAT, [2], [1.0, np.inf]),
    numpy_helper.from_array(np.array([np.inf], np.float16), "spoilt")])
def test_a_weight_that_is_not_finite_is_named(tmp_path, weight):
    model(tmp_path / "net.onnx", [512])
    spoilt = onnx.load(tmp_path / "net.onnx")
    spoilt.graph.initializer.append(weight)
    onnx.save(spoilt, tmp_path / "net.onnx")
    with pytest.raises(FiqaError, match="net.onnx: 1 not finite of 2: spoilt"):
        load_recogniser("iresnet50", tmp_path / "net.onnx")
