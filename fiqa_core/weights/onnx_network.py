"""Models in ONNX, run by onnxruntime: recognisers and quality networks for inference only.

They take the place of our own networks in a `Recogniser` and as a quality method. What they cannot do is
give gradients, so that FaceQAN refuses them.
"""
from pathlib import Path

import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.fit import check_finite
from fiqa_core.weights.formats.tensorflow import last, message


class OnnxNetwork(nn.Module):
    """Prepared images (B, 3, H, W) float32 to a tuple of the model's outputs, float32 on the images' device.

    A model that was exported for one image at a time gets one at a time. It runs on the CPU.
    Raises FiqaError for a file that onnxruntime does not accept, a model with other inputs, and for images
    that want a gradient.

    content   the model's bytes where they were read already; `path` then only names it
    """

    def __init__(self, path: str | Path, content: bytes | None = None):
        super().__init__()
        self.path, self.content = Path(path), content
        self.session = _session(self.path, content)
        check_finite(read_initializers(content or self.path.read_bytes()), str(path))
        inputs = self.session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] != 3:
            taken = [(each.name, each.shape) for each in inputs]
            raise FiqaError(f"{path} takes {taken}, not images (B, 3, H, W)",
                            "give the model of a recogniser or of a quality network")
        self.input, self.single = inputs[0].name, shape[0] == 1
        self.size = tuple(shape[2:])

    def forward(self, images):
        if torch.is_grad_enabled() and images.requires_grad:
            raise FiqaError(f"{self.path} is an ONNX model and has no gradients, which FaceQAN needs",
                            "use a PyTorch checkpoint of the recogniser, or another quality method")
        rows = images.detach().float().cpu().contiguous()
        batches = [self._run(batch) for batch in (rows.split(1) if self.single else (rows,))]
        return tuple(torch.cat(parts).to(images.device) for parts in zip(*batches))

    def _run(self, batch):
        found = self.session.run(None, {self.input: batch.numpy()})
        return [torch.from_numpy(output).float().reshape(len(batch), -1) for output in found]


class OnnxQualityNetwork(OnnxNetwork):
    """A model that tells a quality: of several outputs the narrowest one, and the widest is the embedding."""

    def judge(self, prepared):
        """(embedding (B, D), quality (B, 1)); D is 0 where the model does not tell the embedding.

        Raises FiqaError where no output is one number per image.
        """
        outputs = sorted(self(prepared), key=lambda output: output.shape[1])
        if outputs[0].shape[1] != 1:
            shapes = [tuple(output.shape) for output in outputs]
            raise FiqaError(f"{self.path} has outputs {shapes}, none of which is one number per image",
                            "give the model of a quality network")
        return outputs[-1] if len(outputs) > 1 else outputs[0][:, :0], outputs[0]


FLOATS = {1: torch.float32, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16}


def read_initializers(content: bytes) -> dict[str, torch.Tensor]:
    """Weights of a model that are floats, by name, flat; those in files of their own are left out.

    Numbers of fields are those of onnx.proto: ModelProto.graph, GraphProto.initializer, TensorProto.
    """
    found = {}
    for part in message(last(message(content), 7, b"")).get(5, []):
        weight = message(part)
        raw, kind = last(weight, 9, b""), last(weight, 2, 0)
        raw = raw or b"".join(map(bytes, weight.get(4, [])))            # float_data, packed
        if kind in FLOATS and len(raw):
            found[bytes(last(weight, 8, b"")).decode(errors="replace")] = torch.frombuffer(
                bytearray(raw), dtype=FLOATS[kind])
    return found


def _session(path: Path, content: bytes | None):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3              # errors only: they come as exceptions as well
    try:
        return onnxruntime.InferenceSession(content or str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:                  # onnxruntime's exceptions have no common class of their own
        raise FiqaError(f"{path} is no ONNX model that onnxruntime runs: {str(error).splitlines()[0]}",
                        "fetch the file again and compare its size") from None
