"""`weights add` and `weights check`: a user's own files, and damage to them."""
import hashlib

import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.loading import load_published
from fiqa_core.recognisers.zoo import build_model
from fiqa_core.weights import catalogue, presence
from tests.helpers.weights_shop import ARCHITECTURE, CONTENT, weights

MODELS = catalogue.models()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained network's state dict in a file, as its authors would have saved it."""
    path = tmp_path_factory.mktemp("mine") / "downloaded (1).pt"
    torch.manual_seed(0)
    torch.save(build_model(ARCHITECTURE).state_dict(), path)
    return path


@pytest.mark.parametrize("options", [[], ["--link"]])
def test_add_puts_a_file_that_loads_in_its_place(shop, checkpoint, capsys, options):
    model = shop.offer(url=None, sha256=None)
    assert presence.state_of(model) == "missing"
    assert weights("add", "tiny", checkpoint, *options) == 0
    printed = capsys.readouterr().out
    assert f"loads as {ARCHITECTURE}" in printed
    assert f'load_recogniser("{ARCHITECTURE}", "tiny.pth")' in printed
    assert shop.target.read_bytes() == checkpoint.read_bytes()
    assert shop.target.resolve() == (checkpoint if options else shop.target)
    assert presence.state_of(model) == "valid"
    assert weights("add", "tiny", checkpoint) == 0          # the same once more changes nothing


@pytest.mark.parametrize("fields, complaint", [({"sha256": "0" * 64}, "not the published file: sha256"),
                                               ({"size": 10**9}, "truncated"),
                                               ({"size": 10}, "not the published file")])
def test_add_refuses_another_file(shop, checkpoint, capsys, fields, complaint):
    shop.offer(**{"url": None, "sha256": None} | fields)
    assert weights("add", "tiny", checkpoint) == 2
    assert complaint in capsys.readouterr().err and not shop.target.exists()


def test_add_says_which_architecture_a_file_fits_instead(shop, checkpoint, capsys, monkeypatch):
    from fiqa_core import loading
    few = {name: loading.architectures()[name] for name in (ARCHITECTURE, "mobilefacenet_ediffiqa")}
    monkeypatch.setattr(loading, "architectures", lambda: few)
    shop.offer(url=None, sha256=None, architecture="mobilefacenet_ediffiqa")
    assert weights("add", "tiny", checkpoint) == 2
    message = capsys.readouterr().err
    assert "missing" in message and ARCHITECTURE in message and not shop.target.exists()


def test_quality_networks_load_as_such(shop, tmp_path):
    from fiqa_core.loading import build_model as build_any
    model = shop.offer(url=None, sha256=None, kind="quality", architecture="ediffiqa_T")
    torch.save(build_any("ediffiqa_T").state_dict(), tmp_path / "ediffiqaT.pth")
    presence.add(model, tmp_path / "ediffiqaT.pth", load_published)
    assert presence.check(model, load_published) == "as recorded"


def test_without_a_network_the_tensors_are_read(shop, tmp_path, capsys):
    shop.offer(url=None, sha256=None, architecture=None)
    np.savez(tmp_path / "tensors.npz", weight=np.ones(3))
    assert weights("add", "tiny", tmp_path / "tensors.npz") == 0
    assert "its tensors are read" in capsys.readouterr().out
    (tmp_path / "torn.npz").write_bytes((tmp_path / "tensors.npz").read_bytes()[:-40])
    assert weights("add", "tiny", tmp_path / "torn.npz", "--replace") == 2


def test_add_replaces_only_when_told_to(shop, checkpoint, tmp_path):
    model = shop.offer(url=None, sha256=None)
    presence.add(model, checkpoint, load_published)
    state = torch.load(checkpoint, weights_only=True)
    torch.save({key: value + 1 for key, value in state.items()}, tmp_path / "other.pt")
    with pytest.raises(FiqaError, match="--replace"):
        presence.add(model, tmp_path / "other.pt", load_published)
    presence.add(model, tmp_path / "other.pt", load_published, replace=True)
    assert shop.target.read_bytes() == (tmp_path / "other.pt").read_bytes()


def test_check_remembers_a_digest_so_that_later_damage_is_noticed(shop, checkpoint, capsys):
    model = shop.offer(url=None, sha256=None)
    shop.target.parent.mkdir()
    shop.target.write_bytes(checkpoint.read_bytes())
    assert presence.state_of(model) == "unchecked"
    assert weights("check") == 0 and "tiny: first seen, loads as" in capsys.readouterr().out
    assert weights("check", "tiny") == 0 and "as recorded" in capsys.readouterr().out
    assert presence.state_of(model) == "valid"
    content = bytearray(shop.target.read_bytes())
    content[len(content) // 2] ^= 1
    shop.target.write_bytes(content)
    assert presence.state_of(model) == "unchecked"
    assert weights("check", "tiny") == 1
    printed = capsys.readouterr().out
    assert printed.startswith("FAULT") and "has changed since it was recorded" in printed
    assert weights("add", "tiny", shop.target, "--replace") == 0
    assert weights("check") == 0


def test_what_is_damaged_or_not_here_is_told_without_loading_it(shop, capsys):
    model = shop.offer(size=len(CONTENT))
    assert weights("check", "tiny") == 1
    printed = capsys.readouterr().out
    assert "is not there" in printed and "weights fetch tiny" in printed
    assert weights("check") == 0 and "no official checkpoints" in capsys.readouterr().out
    shop.target.parent.mkdir()
    shop.target.write_bytes(CONTENT[:100])
    assert presence.state_of(model) == "damaged"


def test_only_the_beginning_of_a_digest_may_be_known(shop, checkpoint):
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    presence.add(shop.offer(url=None, sha256=digest[:8]), checkpoint, load_published)
    with pytest.raises(FiqaError, match="not the published file"):
        presence.add(shop.offer(url=None, sha256="00000000"), checkpoint, load_published)


def test_a_damaged_record_is_named(shop, checkpoint):
    model = shop.offer(url=None, sha256=None)
    presence.add(model, checkpoint, load_published)
    (shop.target.parent / presence.RECORD).write_text("{")
    with pytest.raises(FiqaError, match="checked.json is damaged"):
        presence.state_of(model)


def test_files_that_belong_together_are_added_together(shop, tmp_path):
    model = shop.offer(url=None, sha256=None, file="tiny/ckpt-*.index", architecture=None)
    for name in ("ckpt-12.index", "ckpt-12.data-00000-of-00001", "ckpt-9.index", "config.py"):
        (tmp_path / name).write_text(name)
    presence.add(model, tmp_path / "ckpt-12.index", lambda model, path: None)
    folder = shop.target.parent / "tiny"
    assert sorted(path.name for path in folder.iterdir()) == ["ckpt-12.data-00000-of-00001", "ckpt-12.index"]
    assert presence.path_of(model) == folder / "ckpt-12.index" and presence.state_of(model) == "valid"
    (folder / "ckpt-12.data-00000-of-00001").write_text("damaged")
    with pytest.raises(FiqaError, match="has changed since it was recorded"):
        presence.check(model, lambda model, path: None)
    with pytest.raises(FiqaError, match="not of the form"):
        presence.add(model, tmp_path / "config.py", lambda model, path: None)
