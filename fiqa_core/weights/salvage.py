"""What a pickle of PyTorch describes, without running it: what `convert` starts as a process of its own.

A pickle is a program that calls whatever it names. Here it can name three things: ordered dicts, kinds of
storage, and the functions that put tensors together, for which descriptions stand in. Every other name yields
`Inert`, a class that takes any argument and does nothing. The process knows no PyTorch and makes no tensor:
it prints as JSON what the pickle describes, and `convert` builds the tensors after checking every number.

    {"foreign": names left out, "dicts": [{key: value}], "root": value,
     "at": where the values begin in a file before torch 1.6, "order": [key, type] of its storages}

A value is ["dict", number], ["tensor", type, key, count, offset, size, stride] or ["plain", value]: a dict
that occurs many times, or within itself, is printed once.
"""
import json
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

STORAGES = {f"{name}Storage" for name in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short",
                                          "Char", "Byte", "Bool")}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001          # of torch files before 1.6


class Description(NamedTuple):
    """A tensor to be: the kind, key and count of its storage, and how it lies in it."""

    kind: str
    key: str
    count: int
    offset: int
    size: tuple
    stride: tuple


class Inert:
    """Stands in for every class and function that a pickle names: keeps a state and does nothing with it."""

    state = None

    def __init__(self, *args, **kwargs):
        """Arguments are dropped."""

    def __call__(self, *args, **kwargs):
        return self

    def __setstate__(self, state):
        self.state = state

    def __setitem__(self, key, value):
        """Items of a foreign container are dropped."""

    def append(self, item):
        """See __setitem__."""

    extend = add = append


def describe(storage, offset, size, stride, *rest):
    """In place of torch._utils._rebuild_tensor and _rebuild_tensor_v2."""
    return Description(*storage, offset, size, stride)


def keep(value, *rest):
    """In place of torch._utils._rebuild_parameter."""
    return value


NAMES = {("collections", "OrderedDict"): OrderedDict,
         ("torch._utils", "_rebuild_tensor"): describe, ("torch._utils", "_rebuild_tensor_v2"): describe,
         ("torch._utils", "_rebuild_parameter"): keep, **{("torch", name): name for name in STORAGES}}


class Restricted(pickle.Unpickler):
    """Knows `names`, (module, name) -> what stands in for it; `stranger` is asked about any other."""

    def __init__(self, file: BinaryIO, names: dict, stranger: Callable[[str], object], encoding: str):
        super().__init__(file, encoding=encoding)
        self.names, self.stranger = names, stranger

    def find_class(self, module, name):
        if (module, name) in self.names:
            return self.names[module, name]
        return self.stranger(f"{module}.{name}")


class Unpickler(Restricted):
    """Knows NAMES and nothing else.

    foreign   what else the pickle asks for, as "module.name"
    kinds     key -> type of the storages that it refers to
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file, NAMES, self.inert, "utf-8")
        self.foreign, self.kinds = set(), {}

    def inert(self, name: str) -> type[Inert]:
        """What any other name becomes."""
        self.foreign.add(name)
        return Inert

    def persistent_load(self, identity):
        if identity[0] == "module":                     # the class of a whole module, with its source
            return identity[1]
        word, kind, key, _, count, *view = identity
        if word != "storage" or kind not in STORAGES or view not in ([], [None]):
            raise ValueError(f"it refers to a {word} in a way that no tensor needs")
        self.kinds[str(key)] = kind
        return kind, str(key), count


class Outline:
    """Turns what a pickle has built into the lists of the module's docstring."""

    def __init__(self):
        self.dicts, self.numbers = [], {}

    def value(self, value) -> list | None:
        """The value's list; None for what is left out: lists, and objects that are no modules."""
        if isinstance(value, Description):
            return ["tensor", *value]
        if isinstance(value, Inert):
            value = dict(of_module(value)) or None
        if isinstance(value, dict):
            return ["dict", self.number(value)]
        return ["plain", value] if isinstance(value, (str, int, float)) else None

    def number(self, content: dict) -> int:
        """The place of a dict among `dicts`."""
        if id(content) not in self.numbers:
            self.numbers[id(content)] = len(self.dicts)
            entries = {}
            self.dicts.append(entries)                  # before its values, in which it may occur again
            for key, value in content.items():
                found = self.value(value) if isinstance(key, str) else None
                if found is not None:
                    entries[key] = found
        return self.numbers[id(content)]


def of_module(module: Inert, prefix: str = "") -> Iterator[tuple[str, Description]]:
    """(key, tensor) of a whole module that was pickled, as its state dict would list them."""
    state = module.state if isinstance(module.state, dict) else {}
    for part in ("_parameters", "_buffers"):
        for name, value in dict(state.get(part) or {}).items():
            if isinstance(value, Description):
                yield f"{prefix}{name}", value
    for name, child in dict(state.get("_modules") or {}).items():
        if isinstance(child, Inert):
            yield from of_module(child, f"{prefix}{name}.")


def outline(file: BinaryIO) -> dict:
    """What a torch file describes. Raises whatever a damaged or hostile pickle provokes."""
    if zipfile.is_zipfile(file):
        archive = zipfile.ZipFile(file)
        name, = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")   # never by PyTorch; it could unpack to a huge one
        unpickler = Unpickler(archive.open(name))
        tree, order, at = unpickler.load(), [], 0
    else:
        file.seek(0)
        if (Unpickler(file).load(), Unpickler(file).load()) != (MAGIC, PROTOCOL):
            raise ValueError("it does not begin as a file of PyTorch")
        Unpickler(file).load()                          # about the machine that wrote it
        unpickler = Unpickler(file)
        tree, keys = unpickler.load(), Unpickler(file).load()
        order, at = [(str(key), unpickler.kinds[str(key)]) for key in keys], file.tell()
    found = Outline()
    root = found.value(tree)
    return {"foreign": sorted(unpickler.foreign), "dicts": found.dicts, "root": root, "at": at,
            "order": order}


def main(path: str) -> int:
    """Print the outline of the file, or, with exit code 1, why there is none."""
    try:
        with open(path, "rb") as file:
            print(json.dumps(outline(file)))
    except Exception as error:      # the pickle of a stranger: anything can happen here
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
