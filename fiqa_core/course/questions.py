"""The quiz of a lesson: numbered questions with feedback for each option, by clicking or by `answer`."""
from pathlib import Path

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.yaml_files import read_yaml

LETTERS = "abcdef"


def questions(lesson: int) -> list[dict]:
    """Questions {question, options: [{text, right, feedback}]} of a lesson. Raises FiqaError for another."""
    path = Path(__file__).parent / "quiz" / f"l{lesson}.yaml"
    return read_yaml(path, f"lessons with a quiz have a file in {path.parent}")["questions"]


def as_text(lesson: int) -> str:
    """The quiz as Markdown: what shows where no widgets do."""
    lines = []
    for number, question in enumerate(questions(lesson), 1):
        lines += [f"**Q{number}.** {question['question']}", ""]
        lines += [f"- ({letter}) "
                  f"{option['text']}" for letter, option in zip(LETTERS, question["options"])] + [""]
    return "\n".join(lines) + f"\nClick below, or type `answer({lesson}, 1, \"a\")`."


def feedback(lesson: int, number: int, letter: str) -> str:
    """What an option's choice is answered. Raises FiqaError for a question or letter that is none."""
    all_questions = questions(lesson)
    if not 1 <= number <= len(all_questions):
        raise FiqaError(f"quiz {lesson} has no question {number}", f"questions are 1 to {len(all_questions)}")
    options = all_questions[number - 1]["options"]
    if letter not in LETTERS[:len(options)] or len(letter) != 1:
        raise FiqaError(f"question {number} has no option "
                        f"{letter!r}", f"options: {', '.join(LETTERS[:len(options)])}")
    option = options[LETTERS.index(letter)]
    return f"{'✓' if option.get('right') else '✗'} {letter}: {option['feedback']}"


def buttons(lesson: int):
    """The quiz for clicking: radio buttons with a line of feedback under each question."""
    from ipywidgets import HTML, Layout, RadioButtons, VBox
    parts = []
    for number, question in enumerate(questions(lesson), 1):
        names = [f"({letter})" for letter, _ in zip(LETTERS, question["options"])]
        choice = RadioButtons(options=names, index=None, description=f"Q{number}", layout=Layout(width="auto"),
                              orientation="horizontal")
        told = HTML()

        def tell(change, number=number, told=told):
            if change["new"]:
                told.value = feedback(lesson, number, change["new"].strip("()"))

        choice.observe(tell, "value")
        parts += [choice, told]
    return VBox(parts)
