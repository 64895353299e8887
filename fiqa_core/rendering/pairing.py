"""Comparisons: genuine and impostor pairs of templates."""
import numpy as np
import pandas as pd

from fiqa_core.errors import FiqaError


def make_pairs(templates: pd.DataFrame, genuine: int, impostor: int, across: list | None,
               generator: np.random.Generator) -> pd.DataFrame:
    """Draw a pairs table (columns a, b, genuine, fold) without repeats.

    templates: one row per template with template_id, identity, group, fold. Folds share no identity, and
    both members of an impostor pair come from the same fold, as in LFW. across: two groups; each pair
    then has its first member in one and its second in the other. FiqaError if there are too few pairs.
    """
    first, second = np.triu_indices(len(templates), 1)
    person, fold = (templates[c].to_numpy() for c in ("identity", "fold"))
    allowed = fold[first] == fold[second]
    if across:
        group = templates["group"].to_numpy()
        swap = (group[first] == across[1]) & (group[second] == across[0])
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        allowed &= (group[first] == across[0]) & (group[second] == across[1])
    same = person[first] == person[second]
    chosen = [_choose(np.flatnonzero(allowed & same), genuine, "genuine", generator),
              _choose(np.flatnonzero(allowed & ~same), impostor, "impostor", generator)]
    rows = np.concatenate(chosen)
    names = templates["template_id"].to_numpy()
    return pd.DataFrame({"a": names[first[rows]], "b": names[second[rows]],
                         "genuine": np.repeat((1, 0), [len(c) for c in chosen]), "fold": fold[first[rows]]})


def _choose(candidates, count, kind, generator):
    if len(candidates) < count:
        raise FiqaError(f"the protocol asks for {count} {kind} pairs, its images allow {len(candidates)}",
                        "give it more identities or images, or ask for fewer pairs")
    return np.sort(generator.choice(candidates, count, replace=False))
