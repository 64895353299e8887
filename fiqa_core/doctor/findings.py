"""What the doctor reports: one finding per benchmark, checkpoint, detector or setting."""
from dataclasses import dataclass

PRESENT, MISSING, MISSIZED, OTHER = "present", "missing", "mis-sized", "other version"
UNVERIFIED, HASH_UNKNOWN, NO_NETWORK, LEFT_OUT = "unverified", "hash unknown", "no network", "left out"
UNKNOWN_KEY, TOO_LITTLE = "unknown key", "too little"
# states with which a run would stop, or measure something else than it says
PROBLEMS = {MISSING, MISSIZED, NO_NETWORK, UNKNOWN_KEY, TOO_LITTLE}


@dataclass(frozen=True)
class Finding:
    """One thing a suite needs.

    section, name   where the suite names it: ("recognisers", "adaface")
    state    one of the words above
    detail   what was found, or where it was looked for
    terms    licence or terms of use; "" where there are none
    remedy   what to do about it; "" where there is nothing to do
    """

    section: str
    name: str
    state: str
    detail: str
    terms: str = ""
    remedy: str = ""

    @property
    def problem(self) -> bool:
        return self.state in PROBLEMS
