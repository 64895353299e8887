"""The lists of packages agree, the environment holds them, and nothing heavy is imported by surprise."""
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import fiqa_core
from tests.helpers.processes import finished

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_environment_yml_lists_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert [line for line in pip if not line.startswith("-")] == PROJECT["dependencies"]
    assert {"-c constraints.txt", "-e ."} <= set(pip)


def test_conda_python_is_one_the_project_allows():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(entry for entry in environment["dependencies"] if str(entry).startswith("python="))
    assert Requirement("python" + PROJECT["requires-python"]).specifier.contains(python.split("=")[1] + ".0")


def test_constraints_pin_every_requirement():
    pins = {canonical(name): version for name, version in PINS.items()}
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonical(requirement.name)]), requirement


def test_installed_packages_are_the_pinned_ones():
    for requirement in map(Requirement, PROJECT["dependencies"]):
        installed = importlib.metadata.version(requirement.name).split("+")[0]
        assert requirement.specifier.contains(installed), f"{requirement} but {installed} is installed"


def test_torchvision_is_not_wanted():
    assert "torchvision" not in {canonical(name) for name in PINS}


def test_importing_the_package_loads_nothing_heavy():
    code = ("import sys, fiqa_core\n"
            "print([m for m in ('torch', 'torchvision', 'seaborn', 'scipy', 'matplotlib', 'pandas') if m in sys.modules])")
    result = finished([sys.executable, "-c", code], cwd=ROOT)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_every_public_name_is_where_it_is_said_to_be():
    assert all(getattr(fiqa_core, name).__name__ == name for name in fiqa_core.__all__)
    with pytest.raises(AttributeError, match="FaceQAM"):
        getattr(fiqa_core, "FaceQAM")


def test_the_readmes_recipe_is_the_method_of_the_test():
    readme, told = (ROOT / "README.md").read_text(), (ROOT / "tests" / "pipeline" / "test_new_method.py").read_text()
    recipe = readme.partition("# fiqa_core/methods/contrast.py\n")[2].partition("```")[0]
    assert "METHODS = [Method(" in recipe and recipe in told


def test_readme_and_help_name_both_commands():
    makefile = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    for command in ("make repro", "make test", "make lab"):
        assert command in makefile and command in readme
