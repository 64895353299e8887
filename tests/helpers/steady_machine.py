"""A machine whose rates are known, for closed forms of the doctor's estimates."""
from fiqa_core.base.errors import FiqaError


class Steady:
    """One thousand million multiply-adds per second."""

    class device:
        type = "cpu"

    render = 0.01

    def pass_seconds(self, network):
        return network.adds / 1e9, "timed"

    def detect(self, detector, side):
        if detector == "nowhere.onnx":
            raise FiqaError("nowhere.onnx is missing", "get it")
        return 0.02
