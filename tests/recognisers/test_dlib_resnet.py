"""dlib's network: its own program's embeddings, the file it comes in, the chip it sees.

`golden/dlib_resnet.npz` holds ten rendered faces of 56 pixels and what dlib 20.0.1 made of them: with the
published weights, and with those that `fill` draws, written into a copy of the published file. The latter
needs no weights.
"""
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.loading import load_recogniser
from fiqa_core.methods.grafiqs import GraFIQs
from fiqa_core.methods.ser_fiq import SERFIQ
from fiqa_core.recognisers.dlib_resnet import CHIP_EYES, EYES, LAYERS, DlibResNet, chip_grid
from fiqa_core.recognisers.zoo import recogniser_from_catalogue
from fiqa_core.weights.catalogue import find_model
from fiqa_core.weights.packages import PACKAGES, place_in
from fiqa_core.weights.presence import verify
from fiqa_core.weights.tensors import read_tensors
from tests.helpers.golden_networks import FOLDER, fill
from tests.helpers.weights_writers import dlib_network

GOLDEN = np.load(FOLDER / "dlib_resnet.npz")


@pytest.fixture(scope="module")
def drawn():
    """The recogniser with drawn weights."""
    recogniser = recogniser_from_catalogue("dlib_resnet")
    fill(recogniser.network.state_dict())
    return recogniser.freeze()


def of_chips(recogniser) -> np.ndarray:
    """Embeddings of the ten faces as chips of 150 pixels, the border repeated around 112."""
    faces = np.stack([np.kron(face, np.ones((2, 2, 1), np.uint8)) for face in GOLDEN["faces"]])
    chips = torch.from_numpy(np.pad(faces, ((0, 0), (19, 19), (19, 19), (0, 0)), "edge")).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        return recogniser.network.embed((chips - recogniser.mean) / recogniser.std).numpy()


def stored(network) -> list[torch.Tensor]:
    """The network's tensors as dlib's file holds them."""
    return [torch.cat([(value.T if name == "feature" else value).flatten() for value in layer.parameters()])
            if name != "feature" else layer.weight.T.contiguous()
            for name, layer in network.named_modules() if isinstance(layer, LAYERS)]


def test_drawn_weights_give_what_dlibs_own_program_gives(drawn):
    found = of_chips(drawn)
    assert found.shape == (10, 128) and np.abs(found - GOLDEN["drawn"]).max() < 3e-6 * np.abs(GOLDEN["drawn"]).max()


def test_published_weights_give_what_dlibs_own_program_gives():
    model = find_model("dlib_resnet")
    path = place_in(PACKAGES[model.package], model.inside)
    if path is None:
        pytest.skip(f"SKIPPED: {model.package} is not installed (make repro SUITE=photos installs it)")
    assert verify(model, path) == model.sha256
    assert np.abs(of_chips(load_recogniser("dlib_resnet", path)) - GOLDEN["published"]).max() < 2e-6


def test_the_file_fills_the_network_in_forward_order(drawn, tmp_path):
    dlib_network(tmp_path / "net.dat", stored(drawn.network))
    assert len(read_tensors(tmp_path / "net.dat")) == 59
    loaded = load_recogniser("dlib_resnet", tmp_path / "net.dat")
    wanted = drawn.network.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in loaded.network.state_dict().items())


@pytest.mark.parametrize("spoil, said", [
    (lambda content: content[:-5000], "is damaged or cut short .dlib network.: .* bytes should follow"),
    (lambda content: content[:30], "it holds no tensor")])
def test_a_file_that_was_cut_short_is_named(drawn, tmp_path, spoil, said):
    dlib_network(tmp_path / "net.dat", stored(drawn.network))
    (tmp_path / "net.dat").write_bytes(spoil((tmp_path / "net.dat").read_bytes()))
    with pytest.raises(FiqaError, match=said):
        load_recogniser("dlib_resnet", tmp_path / "net.dat")


def test_another_network_of_dlib_is_refused(drawn, tmp_path):
    dlib_network(tmp_path / "net.dat", stored(drawn.network)[:-2])
    with pytest.raises(FiqaError, match="as dlib_resnet: 117 missing of 117.*57 unexpected of 57: dlib.0"):
        load_recogniser("dlib_resnet", tmp_path / "net.dat")


def test_a_chip_has_the_eyes_where_dlib_has_them_and_repeats_the_border():
    network = DlibResNet()
    crops = torch.zeros(1, 1, 112, 112)
    crops[0, 0, 51:53, 38] = crops[0, 0, 51:53, 73:75] = 1.0
    crops[0, 0, -1] = 0.5
    chip = network.chips(crops)[0, 0]
    for eye in CHIP_EYES:
        assert chip[round(eye.imag), round(eye.real)] > 0.3
    assert (chip[-1] == 0.5).all() and chip.shape == (150, 150)
    at_eye = chip_grid()[0, round(CHIP_EYES[0].imag), round(CHIP_EYES[0].real)]
    assert (at_eye[0] + 1) * 111 / 2 == pytest.approx(EYES[0].real, abs=0.5)


def test_gradients_reach_the_crop_and_one_face_does_not_touch_another(drawn):
    images = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0), requires_grad=True)
    drawn(images)[0].sum().backward()
    assert images.grad[0].abs().sum() > 0 and images.grad[1].abs().sum() == 0


def test_methods_say_what_they_cannot_read(drawn):
    with pytest.raises(FiqaError, match="0 batch norms"):
        GraFIQs(drawn)
    with pytest.raises(FiqaError, match="trained without dropout"):
        SERFIQ(drawn)
    assert SERFIQ(drawn, repeats=4, dropout=0.5)(torch.rand(2, 3, 112, 112)).shape == (2,)
