"""FaceQnet's Keras file as the authors' repository describes it, at any width, and its arithmetic by hand."""
import torch
from torch.nn import functional as F

BLOCKS, STRIDES = (3, 4, 6, 3), (1, 2, 2, 2)
SMALL = (2, 3, 4, 5)                # channels inside the bottlenecks of each stage
FULL = (64, 128, 256, 512)


class Description:
    """Layers in the JSON of Keras 2, and their weights: drawn, or on torch's meta device."""

    def __init__(self, device="cpu"):
        self.layers, self.weights, self.device = [], {}, device
        self.generator = torch.Generator().manual_seed(1)

    def add(self, name, kind, sources, weights=None, **options):
        nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
        config = {"name": name, "trainable": False, **options}
        self.layers.append({"name": name, "class_name": kind, "config": config, "inbound_nodes": nodes})
        self.weights[name] = {f"{name}/{leaf}:0": tensor for leaf, tensor in (weights or {}).items()}
        return name

    def draw(self, *shape, low=-1.0, high=1.0):
        if self.device == "meta":
            return torch.empty(shape, device="meta")
        return torch.rand(shape, generator=self.generator) * (high - low) + low

    def conv(self, name, source, before, after, size, stride=1):
        """Without bias, its batch norm behind it."""
        kernel = self.draw(size, size, before, after) * 2 / (size * before ** 0.5)      # keeps the contrast
        self.add(name, "Conv2D", [source], {"kernel": kernel}, filters=after, kernel_size=[size, size],
                 strides=[stride, stride], padding="same", data_format="channels_last", dilation_rate=[1, 1],
                 activation="linear", use_bias=False)
        norm = {"gamma": self.draw(after, low=0.5), "beta": self.draw(after), "moving_mean": self.draw(after),
                "moving_variance": self.draw(after, low=0.5, high=2.0)}
        return self.add(f"{name}/bn", "BatchNormalization", [name], norm, axis=-1, epsilon=0.001, center=True,
                        scale=True)

    def relu(self, name, source):
        return self.add(name, "Activation", [source], activation="relu")

    def bottleneck(self, name, source, before, inside, stride):
        x = self.relu(f"{name}_a", self.conv(f"{name}_1x1_reduce", source, before, inside, 1, stride))
        x = self.relu(f"{name}_b", self.conv(f"{name}_3x3", x, inside, inside, 3))
        x = self.conv(f"{name}_1x1_increase", x, inside, 4 * inside, 1)
        if name.endswith("_1"):
            source = self.conv(f"{name}_1x1_proj", source, before, 4 * inside, 1, stride)
        return self.relu(f"{name}_c", self.add(f"{name}_sum", "Add", [x, source]))

    def dense(self, name, source, before, after, activation="linear"):
        weights = {"kernel": self.draw(before, after) / before ** 0.5, "bias": self.draw(after)}
        return self.add(name, "Dense", [source], weights, units=after, activation=activation, use_bias=True)

    def config(self):
        first, last = ([[layer["name"], 0, 0]] for layer in (self.layers[0], self.layers[-1]))
        graph = {"name": "model_1", "layers": self.layers, "input_layers": first, "output_layers": last}
        return {"class_name": "Model", "config": graph}

    def held(self):
        """The weights as a file holds them: of layers that have some."""
        return {name: weights for name, weights in self.weights.items() if weights}


def faceqnet(widths=SMALL, hidden=6, device="cpu", outputs=1) -> Description:
    """The ResNet-50 of VGGFace2 and a head of two dense layers with dropout (0: no head)."""
    net = Description(device)
    x = net.add("base_input", "InputLayer", [], batch_input_shape=[None, 224, 224, 3], dtype="float32")
    x = net.relu("activation_1", net.conv("conv1/7x7_s2", x, 3, widths[0], 7, 2))
    x = net.add("max_pooling2d_1", "MaxPooling2D", [x], pool_size=[3, 3], strides=[2, 2], padding="valid")
    before = widths[0]
    for stage, (inside, count, stride) in enumerate(zip(widths, BLOCKS, STRIDES), start=2):
        for block in range(1, count + 1):
            x = net.bottleneck(f"conv{stage}_{block}", x, before, inside, stride if block == 1 else 1)
            before = 4 * inside
    x = net.add("avg_pool", "AveragePooling2D", [x], pool_size=[7, 7], strides=[7, 7], padding="valid")
    x = net.add("flatten_1", "Flatten", [x])
    if hidden:
        x = net.add("dropout_1", "Dropout", [x], rate=0.5)
        net.dense("main_output", net.dense("dense_1", x, before, hidden, "relu"), hidden, outputs)
    return net


def by_hand(weights: dict, images: torch.Tensor) -> torch.Tensor:
    """The raw score (B, 1) of images (B, 3, 224, 224), from the description's text and not from its JSON."""

    def conv(x, name, stride=1, border=(0, 0, 0, 0)):
        kernel = weights[name][f"{name}/kernel:0"].permute(3, 2, 0, 1)
        gamma, beta, mean, variance = (value[:, None, None] for value in weights[f"{name}/bn"].values())
        x = F.conv2d(F.pad(x, border), kernel, stride=stride)
        return (x - mean) / (variance + 1e-3).sqrt() * gamma + beta

    x = F.max_pool2d(conv(images, "conv1/7x7_s2", 2, (2, 3, 2, 3)).relu(), 3, 2)
    assert x.shape[2:] == (55, 55)
    for stage, (count, stride, side) in enumerate(zip(BLOCKS, STRIDES, (55, 28, 14, 7)), start=2):
        for block in range(1, count + 1):
            name, step = f"conv{stage}_{block}", stride if block == 1 else 1
            inside = conv(x, f"{name}_1x1_reduce", step).relu()
            inside = conv(inside, f"{name}_3x3", 1, (1, 1, 1, 1)).relu()
            beside = conv(x, f"{name}_1x1_proj", step) if block == 1 else x
            x = (conv(inside, f"{name}_1x1_increase") + beside).relu()
        assert x.shape[2:] == (side, side)
    x = x.mean((2, 3))
    x = (x @ weights["dense_1"]["dense_1/kernel:0"] + weights["dense_1"]["dense_1/bias:0"]).relu()
    return x @ weights["main_output"]["main_output/kernel:0"] + weights["main_output"]["main_output/bias:0"]
