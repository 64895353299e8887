"""One YAML for every reader and writer: the core schema of version 1.2."""
import math

import pytest
import yaml

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.yaml_files import parse_yaml, read_yaml, yaml_text


@pytest.mark.parametrize("text, value", [
    ("1e-3", 0.001), ("1E+3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-2.5", -2.5), ("-.inf", -math.inf),
    ("12", 12), ("+3", 3), ("010", 10), ("0o17", 15), ("0x1F", 31), ("true", True), ("False", False),
    ("~", None), ("", None), ("null", None), ("no", "no"), ("yes", "yes"), ("on", "on"), ("NA", "NA"),
    ("1_000", "1_000"), ("12:30", "12:30"), ("2020-01-01", "2020-01-01"), ("1e", "1e"), ("e3", "e3"),
    ("'1e-3'", "1e-3"), ("[a, 1e2]", ["a", 100.0])])
def test_values_are_those_of_yaml_1_2(text, value):
    found = parse_yaml(text)
    assert found == value and type(found) is type(value)


def test_what_is_written_is_read_again_by_both_versions():
    content = {"words": ["1e-3", "no", "010", "null", "12:30", "", "true", "0o7", "2020-01-01", "a: b"],
               "numbers": [1e-3, 1e-05, 1e22, 3, None]}
    assert parse_yaml(yaml_text(content)) == yaml.safe_load(yaml_text(content)) == content


@pytest.mark.parametrize("content, complaint", [
    (None, "is missing"), (b"a: [1", "is not valid YAML"), (b"a: \xff", "is not valid YAML.*byte"),
    (b"- 1", "holds list instead"), (b"", "holds NoneType"),
    (b"!!python/object/apply:os.system [ls]", "is not valid YAML: could not determine")])
def test_a_file_that_holds_no_mapping_is_named(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(FiqaError, match=f"a.yaml(, line 1)? {complaint}.*\n  remedy: restore it"):
        read_yaml(tmp_path / "a.yaml", "restore it")


def test_an_option_that_is_not_closed_is_named():
    with pytest.raises(FiqaError, match="\'\\[1, 2\' is no value"):
        parse_yaml("[1, 2")
