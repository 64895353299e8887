"""The checksum CRC-32C (Castagnoli) of TensorFlow's files, fast enough for weights.

The bytes are cut into equal lanes whose checksums advance together, one byte of every lane at a time. A
checksum's state is linear in its start, so that neighbouring lanes join: the left state moves over as many
zero bytes as the right lane is long, which is one 32 x 32 bit matrix, and both are added.
"""
import numpy as np

POLYNOMIAL = 0x82F63B78             # bits reversed
MOST_LANES = 14                     # as a power of two


def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ POLYNOMIAL, table >> 1).astype(np.uint32)
    return table


TABLE = _byte_table()


def crc32c(data) -> int:
    """Checksum of a buffer of bytes."""
    values = np.frombuffer(data, dtype=np.uint8)
    power = min(MOST_LANES, len(values).bit_length() // 2)
    length = len(values) >> power
    cut = length << power
    state = np.zeros(1 << power, dtype=np.uint32)
    state[0] = 0xFFFFFFFF
    for column in np.ascontiguousarray(values[:cut].reshape(1 << power, length).T):
        state = _step(state, column)
    matrix = _zeros(length)
    while len(state) > 1:
        state = _apply(matrix, state[0::2]) ^ state[1::2]
        matrix = _apply(matrix, matrix)
    for byte in values[cut:]:
        state = _step(state, byte)
    return int(state[0]) ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """The form in which TensorFlow stores a checksum."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _step(state, byte):
    return TABLE[(state ^ byte) & 255] ^ state >> np.uint32(8)


def _apply(matrix: np.ndarray, states: np.ndarray) -> np.ndarray:
    """`matrix` (32,) holds the image of each bit."""
    result = np.zeros_like(states)
    for bit in range(32):
        result ^= np.where(states >> np.uint32(bit) & np.uint32(1), matrix[bit], np.uint32(0))
    return result


def _zeros(count: int) -> np.ndarray:
    """The matrix that moves a state over `count` zero bytes, by repeated squaring."""
    result = np.uint32(1) << np.arange(32, dtype=np.uint32)
    power = _step(result, np.uint32(0))
    while count:
        if count & 1:
            result = _apply(power, result)
        power = _apply(power, power)
        count >>= 1
    return result
