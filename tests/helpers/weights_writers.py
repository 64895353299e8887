"""Small files of every weights format, written by the formats' rules and not by the readers under test."""
import json
import struct

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

TENSORFLOW = {torch.float32: 1, torch.float64: 2, torch.int32: 3, torch.int64: 9, torch.float16: 19}
CHECKSUM = 0                        # which the reader passes over
MXNET = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.int32: 4, torch.int64: 6}


def raw(tensor):
    return tensor.contiguous().numpy().tobytes()


# --- protocol buffers -----------------------------------------------------------------------------

def varint(value):
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def field(number, value):
    """A field of a message: a whole number, or bytes (text, a message, packed numbers)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def shape_message(shape):
    return b"".join(field(2, field(1, size)) for size in shape)


def constant(name, tensor, content=None):
    """A node of a frozen graph; `content`: the fields that hold the values, default the raw bytes."""
    content = field(4, raw(tensor)) if content is None else content
    value = field(1, TENSORFLOW[tensor.dtype]) + field(2, shape_message(tensor.shape)) + content
    attribute = field(1, "value") + field(2, field(8, value))
    return field(1, field(1, name) + field(2, "Const") + field(5, attribute))


def tensorflow_graph(path, tensors):
    operation = field(1, field(1, "last") + field(2, "Relu") + field(3, "input"))
    path.write_bytes(b"".join(constant(name, tensor) for name, tensor in tensors.items()) + operation)


# --- TensorFlow checkpoints -----------------------------------------------------------------------

def block(entries):
    """A block of a table: every key repeats what it shares with the one before as a length."""
    content, before = b"", b""
    for key, value in entries:
        shared = next((i for i, (a, b) in enumerate(zip(before, key)) if a != b), min(len(before), len(key)))
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return content + struct.pack("<II", 0, 1)


def table(path, entries, per_block=2):
    """A sorted table of `entries` [(key, value)] in blocks, with an empty block of metadata."""
    content, handles = b"", []

    def append(data):
        nonlocal content
        handle = varint(len(content)) + varint(len(data))
        checked = data + b"\0"
        content += checked + struct.pack("<I", CHECKSUM)
        return handle

    for first in range(0, len(entries), per_block):
        part = entries[first: first + per_block]
        handles.append((part[-1][0], append(block(part))))
    footer = append(block([])) + append(block(handles))
    path.write_bytes(content + footer.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little"))


def tensorflow_checkpoint(path, tensors):
    """`path` is the index; the data file comes beside it."""
    data, entries = b"", [(b"", field(1, 1) + field(3, field(1, 1)))]
    for name, tensor in sorted(tensors.items()):
        bytes_ = raw(tensor)
        entry = (field(1, TENSORFLOW[tensor.dtype]) + field(2, shape_message(tensor.shape))
                 + field(4, len(data)) + field(5, len(bytes_))
                 + b"\x35" + struct.pack("<I", CHECKSUM))
        entries.append((name.encode(), entry))
        data += bytes_
    table(path, entries)
    path.with_name(path.stem + ".data-00000-of-00001").write_bytes(data)


# --- MXNet ----------------------------------------------------------------------------------------

def mxnet_array(tensor, version):
    """An array in the layout of MXNet before 1.0 (0), of 1.0 (1), or later (2)."""
    axes, shape = tensor.dim(), tuple(tensor.shape)
    begin = {0: struct.pack(f"<I{axes}I", axes, *shape),
             1: struct.pack(f"<II{axes}q", 0xF993FAC8, axes, *shape),
             2: struct.pack(f"<IiI{axes}q", 0xF993FAC9, 0, axes, *shape)}[version]
    return begin + struct.pack("<iii", 1, 0, MXNET[tensor.dtype]) + raw(tensor)


def mxnet(path, tensors, version=2):
    names = b"".join(struct.pack("<Q", len(name)) + name.encode() for name in tensors)
    arrays = b"".join(mxnet_array(tensor, version) for tensor in tensors.values())
    count = struct.pack("<Q", len(tensors))
    path.write_bytes(struct.pack("<QQ", 0x112, 0) + count + arrays + count + names)


# --- the others -----------------------------------------------------------------------------------

def keras(path, layers, config=None):
    """{layer: {weight: tensor}} as Keras saves a whole model of `config`; None: weights alone."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for name, weights in layers.items():
            layer = group.create_group(name)
            layer.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, tensor in weights.items():
                layer.create_dataset(weight, data=tensor.numpy())


def torch_zip(path, tensors):
    torch.save(tensors, path)


def torch_old(path, tensors):
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def safetensors(path, tensors):
    save_file(tensors, path)


def npz(path, tensors):
    with open(path, "wb") as file:
        np.savez(file, **{name: tensor.numpy() for name, tensor in tensors.items()})


# --- dlib -------------------------------------------------------------------------------------------

def dlib_integer(value):
    """A control byte with the number of bytes that follow, bit 7 for a minus."""
    content = abs(value).to_bytes(max(1, (abs(value).bit_length() + 7) // 8), "little")
    return bytes([len(content) | (128 if value < 0 else 0)]) + content


def dlib_tensor(values):
    """A tensor of two axes, samples and channels, after the settings that stand before it in a file."""
    sizes = [2, *values.shape, *[1] * (4 - values.ndim)]
    settings = b"".join(map(dlib_integer, (3, -1, 7, 2, 2, 3, 21)))
    return settings + b"".join(map(dlib_integer, sizes)) + raw(values)


def dlib_network(path, tensors):
    few = torch.tensor([0.5, 2.0])                                      # bookkeeping
    path.write_bytes(b"\1\1\1\rloss_metric_2" + b"".join(map(dlib_tensor, [few, *tensors])) + b"\1\1\1\2")
