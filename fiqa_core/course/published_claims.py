"""Five sentences about the papers' printed tables and the numbers that decide them (lesson 7).

A test holds each of them against the shipped tables.
"""
from dataclasses import dataclass

from fiqa_core.course.exercise import Verdict

WORDS = ("true", "false", "not decidable")


@dataclass(frozen=True)
class Claim:
    """sentence; word: one of WORDS; numbers: as printed, which show it, none where nothing printed can;
    table, rows: where they stand (the columns that pick them); hint: for another word."""

    sentence: str
    word: str
    numbers: tuple[float, ...]
    table: str = ""
    rows: tuple[dict, ...] = ()
    hint: str = ""


AVERAGE, PER_SET = "diffiqa_average_pauc", "ediffiqa_pauc"
CLAIMS = {
    "a": Claim("DifFIQA(R) has a lower average pAUC at discard 0.3 than DifFIQA, whose scores it learnt "
               "(DifFIQA paper).",
               "true", (0.6822, 0.6768), AVERAGE,
               ({"method": "DifFIQA", "discard_limit": 0.3}, {"method": "DifFIQA(R)", "discard_limit": 0.3}),
               "a student is not bound to be below its teacher: look at both rows"),
    "b": Claim("With ArcFace, discarding by FaceQnet helps on IJB-C (eDifFIQA "
               "paper).", "false", (1.224,), PER_SET,
               ({"recogniser": "ArcFace", "method": "FaceQnet", "benchmark": "IJB-C"},),
               "what does a ratio above 1 say?"),
    "c": Claim("FaceQAN has the lowest pAUC of all methods on CFP-FP with ArcFace (eDifFIQA "
               "paper).", "true", (0.347,),
               PER_SET, ({"recogniser": "ArcFace", "method": "FaceQAN", "benchmark": "CFP-FP"},),
               "read down the column CFP-FP"),
    "d": Claim("eDifFIQA(L) needs fewer parameters than eDifFIQA(M) (eDifFIQA paper).", "false", (65.68, 44.11),
               "runtime_and_parameters",
               ({"method": "eDifFIQA(L)", "quantity": "parameters"}, {"method": "eDifFIQA(M)", "quantity": "parameters"}),
               "L stands for large: look at both rows"),
    "e": Claim("The difference between DifFIQA and DifFIQA(R) at discard 0.3 is larger than other "
               "photographs of other "
               "people would bring about by chance (DifFIQA paper).", "not decidable", (),
               hint="nothing printed says by how much two averages differ by chance"),
}


def judge_claims(answer) -> Verdict:
    """The verdict on {key: (word, numbers)}."""
    if not isinstance(answer, dict) or set(answer) != set(CLAIMS):
        return Verdict(False, f"give a dictionary with the keys {', '.join(CLAIMS)}", "counter-example")
    for key, claim in CLAIMS.items():
        given = answer[key]
        if not isinstance(given, (tuple, list)) or len(given) != 2 or given[0] not in WORDS:
            return Verdict(False, f"{key}: give a word ({', '.join(WORDS)}) and a list of printed numbers",
                           "counter-example")
        word, numbers = given
        if word != claim.word:
            told = "e is called false: " if key == "e" and word == "false" else f"{key}: another word: "
            return Verdict(False, told + claim.hint, "hint")
        if not isinstance(numbers, (tuple, list)) or not all(isinstance(n, (int, float)) for n in numbers) or (
                sorted(round(n, 4) for n in numbers) != sorted(claim.numbers)):
            return Verdict(False, f"{key}: the word is right, the numbers do not show it: give exactly those "
                                  f"printed "
                           "numbers that do", "hint")
    return Verdict(True, "right", "right")


def random_claims(rng) -> str:
    """Random words with random ones of the printed numbers."""
    printed = [number for claim in CLAIMS.values() for number in claim.numbers]
    answer = {key: (str(rng.choice(WORDS)), [float(n) for n in rng.choice(printed, rng.integers(3), replace=False)])
              for key in CLAIMS}
    return f"verdicts = {answer!r}\n"
