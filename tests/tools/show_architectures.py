"""Table of all architectures beside the authors' code: python -m tests.tools.show_architectures [name ...]

Per architecture: whether its state dict has the keys, shapes and types of the official file, the largest
relative deviation from the golden outputs, and the seconds for building, filling and running it.
"""
import sys
import time

import torch

from fiqa_core.loading import build_model
from tests.helpers.golden_networks import (MANIFESTS, checksum, deviations, fill, golden, golden_input,
                                           keys_agree)
from tests.helpers.golden_networks import outputs as outputs_of


def main(names):
    print(f"{'architecture':30} {'parameters':>11} {'keys':>5} {'equal':>5} {'deviation':>10} {'seconds':>7}")
    for name in names or MANIFESTS:
        start = time.perf_counter()
        network = build_model(name)
        agree, state = keys_agree(name, network), network.state_dict()
        fill(state)
        deviation = worst(name, network)
        seconds = time.perf_counter() - start
        print(f"{name:30} {MANIFESTS[name]['parameters']:11,} {len(state):5} {'yes' if agree else 'NO':>5} "
              f"{deviation:>10} {seconds:7.1f}", flush=True)


def worst(name, network) -> str:
    """Largest deviation as text; a network without golden outputs is run to see that it runs."""
    wanted = golden(name)
    if not wanted:
        with torch.no_grad():
            found = outputs_of(name, network, golden_input((2, 3, 112, 112)), {})
        finite = all(torch.isfinite(value).all() for value in found.values())
        return "(finite)" if finite else "NOT FINITE"
    state = network.state_dict()
    same = "fill_checksum" not in wanted or abs(checksum(state)[1] - wanted["fill_checksum"][1]) < 1e-3
    return f"{max(deviations(name, network, wanted).values()):.1e}" if same else "OTHER FILL"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
