"""The wire format of protocol buffers: numbered fields, without the schema that names them."""
from collections.abc import Iterator

from fiqa_core.weights.formats.cursor import Cursor, Damaged

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


def fields(data) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of a message's fields in their order: int of a varint, else the bytes."""
    cursor = Cursor(data)
    while cursor.left:
        number, kind = divmod(cursor.varint(), 8)
        if kind == VARINT:
            value = cursor.varint()
        elif kind == LENGTH:
            value = cursor.take(cursor.varint())
        elif kind in (FOUR_BYTES, EIGHT_BYTES):
            value = cursor.take(4 if kind == FOUR_BYTES else 8)
        else:
            raise Damaged(f"field {number} is of the unknown kind {kind}")
        yield number, value


def message(data) -> dict[int, list]:
    """All values of every field of a message."""
    found = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def last(parts: dict[int, list], number: int, default):
    """The value of a field that is written once: the last one, as the format says.

    Raises Damaged where it is not of the default's kind (int, else bytes).
    """
    value = parts[number][-1] if number in parts else default
    if isinstance(value, int) != isinstance(default, int):
        raise Damaged(f"field {number} holds a {type(value).__name__}")
    return value


def whole_numbers(values: list) -> list[int]:
    """Signed 64-bit numbers of a repeated field, written one by one or packed together."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        cursor = Cursor(value)
        while cursor.left:
            found.append(cursor.varint())
    return [number - 2**64 if number >= 2**63 else number for number in found]
