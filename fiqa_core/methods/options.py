"""Options of a training: known names, and defaults where params.yaml is silent."""
from fiqa_core.errors import FiqaError


def overridden(defaults: dict, config: dict | None, method: str) -> dict:
    """`defaults` with the values of `config` in place of its own; lists become tuples.

    Raises FiqaError naming the method for keys that have no default.
    """
    unknown = sorted(set(config or {}) - set(defaults))
    if unknown:
        raise FiqaError(f"unknown options of {method}: {', '.join(unknown)}", f"use {', '.join(defaults)}")
    merged = {**defaults, **(config or {})}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in merged.items()}
