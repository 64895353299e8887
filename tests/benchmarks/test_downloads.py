"""`data fetch` and `data pairs`: an archive from a local server, and comparisons of a folder of faces."""
import hashlib
import io
import tarfile
from types import SimpleNamespace

import pandas as pd
import pytest

from fiqa_core import cli
from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks import downloads
from fiqa_core.benchmarks.downloads import DATA_SETS, DataFile, DataSet
from fiqa_core.benchmarks.loaders.folders import folders
from tests.helpers.shared import shared_path


def archive(*names: str, link: str | None = None) -> bytes:
    """A .tgz of files that hold their own name; `link`: the first is a link to it instead."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as content:
        for number, name in enumerate(names):
            member = tarfile.TarInfo(name)
            if link and not number:
                member.type, member.linkname = tarfile.SYMTYPE, link
                content.addfile(member)
            else:
                member.size = len(name)
                content.addfile(member, io.BytesIO(name.encode()))
    return buffer.getvalue()


@pytest.fixture
def offer(shop, tmp_path, monkeypatch):
    """`offer(content, **fields)` puts a set `tiny` of one archive on the server, to go to corpora/tiny."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))

    def put(content: bytes, **fields) -> SimpleNamespace:
        shop.server.content = content
        fields = {"name": "tiny.tgz", "url": shop.address, "sha256": hashlib.sha256(content).hexdigest(),
                  "page": "https://example.org/tiny", "unpacks": "tiny"} | fields
        data = DataSet("tiny", "Tiny faces", "only for tests", "corpora/tiny", (DataFile(**fields),))
        monkeypatch.setitem(DATA_SETS, "tiny", data)
        return SimpleNamespace(server=shop.server, folder=tmp_path / "corpora" / "tiny", address=shop.address)

    return put


def fetch(*options: str) -> int:
    return cli.main(["data", "fetch", "tiny", *options])


def test_lfw_has_the_addresses_and_digests_of_scikit_learn():
    text = shared_path("spec/evaluation.md").read_text()
    for file in DATA_SETS["lfw"].files:
        number = file.url.rpartition("/")[2]
        assert file.url == f"https://ndownloader.figshare.com/files/{number}"
        assert f"{number} `{file.name}` " in text and file.sha256 in text


def test_fetch_shows_the_terms_unpacks_and_deletes_the_archive(offer, capsys):
    shop = offer(archive("tiny/Ann/Ann_0001.jpg", "tiny/Bob/Bob_0001.jpg"))
    assert fetch("--accept-licence") == 0
    printed = capsys.readouterr().out
    assert printed.index("only for tests") < printed.index(str(shop.folder)) and shop.address in printed
    assert (shop.folder / "tiny" / "Bob" / "Bob_0001.jpg").read_text() == "tiny/Bob/Bob_0001.jpg"
    assert [path.name for path in shop.folder.iterdir()] == ["tiny"]


def test_what_is_there_is_not_fetched_again(offer):
    shop = offer(archive("tiny/Ann/Ann_0001.jpg"))
    assert fetch("--accept-licence") == fetch() == 0
    assert len(shop.server.ranges) == 1


def test_terms_have_to_be_accepted(offer, capsys):
    shop = offer(archive("tiny/a"))
    assert fetch() == 2
    printed = capsys.readouterr()
    assert "only for tests" in printed.out and "--accept-licence" in printed.err and not shop.server.ranges


def test_another_file_than_the_published_is_not_kept(offer, capsys):
    shop = offer(archive("tiny/a"), sha256="0" * 64)
    assert fetch("--accept-licence") == 2
    message = capsys.readouterr().err
    assert "another file than the published one" in message and "https://example.org/tiny" in message
    assert not list(shop.folder.iterdir())


def test_a_server_that_refuses_tells_where_to_put_the_file(offer, capsys):
    offer(archive("tiny/a")).server.status = 404
    assert fetch("--accept-licence") == 2
    assert "put it beside the others as tiny.tgz" in capsys.readouterr().err


def test_an_interrupted_download_goes_on(offer):
    content = archive("tiny/a") + bytes(2_000_000)
    shop = offer(content)
    shop.server.breaks = 1_500_000
    assert fetch("--accept-licence") == 2
    shop.server.breaks = None
    assert fetch("--accept-licence") == 0
    assert len(shop.server.ranges) == 2 and shop.server.ranges[1].startswith("bytes=")


def test_an_archive_that_the_user_put_there_is_verified_and_unpacked(offer, capsys):
    content = archive("tiny/a")
    shop = offer(content)
    shop.folder.mkdir(parents=True)
    (shop.folder / "tiny.tgz").write_bytes(b"something else")
    assert fetch("--accept-licence") == 2 and "is not the published file" in capsys.readouterr().err
    (shop.folder / "tiny.tgz").write_bytes(content)
    assert fetch("--accept-licence") == 0 and not shop.server.ranges
    assert (shop.folder / "tiny" / "a").is_file()


@pytest.mark.parametrize("content, said", [
    pytest.param(archive("../outside"), "cannot be unpacked", id="above"),
    pytest.param(archive("tiny/link", link="/etc/passwd"), "cannot be unpacked", id="link"),
    pytest.param(archive("other/a"), "holds no folder tiny", id="other"),
    pytest.param(archive("tiny/a", "tiny/b")[:60], "cannot be unpacked", id="cut"),
    pytest.param(b"no archive at all", "cannot be unpacked", id="none")])
def test_a_dangerous_or_damaged_archive_brings_nothing(offer, tmp_path, capsys, content, said):
    shop = offer(content)
    assert fetch("--accept-licence") == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in shop.folder.iterdir()] == ["tiny.tgz"] and not (
        tmp_path / "outside"
    ).exists()
    assert not (shop.folder.parent / "outside").exists()


def test_what_cannot_be_fetched_automatically_is_said():
    with pytest.raises(FiqaError, match="'ijbc' cannot be fetched automatically"):
        downloads.find_data("ijbc")


@pytest.fixture
def people(tmp_path):
    """Four people with three images each."""
    for name in ("Ann", "Bob", "Cy", "Di"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "faces" / name / f"{number}.png").write_bytes(b"")
    return tmp_path / "faces"


def pairs(folder, *options) -> int:
    return cli.main(["data", "pairs", str(folder), *map(str, options)])


def test_pairs_are_drawn_into_the_form_that_the_suite_reads(people, capsys):
    assert pairs(people, "--genuine", 100, "--impostor", 20) == 0
    table = pd.read_csv(people / "pairs.csv")
    same = table["a"].str.split("/").str[0] == table["b"].str.split("/").str[0]
    assert (same == (table["genuine"] == 1)).all() and same.sum() == 12 and (~same).sum() == 20
    assert hashlib.sha256((people / "pairs.csv").read_bytes()).hexdigest() in capsys.readouterr().out
    listing = folders("Faces", people, aligned=True)
    assert len(listing) <= 12 and listing.pairs["genuine"].sum() == 12


def test_the_seed_decides_which_and_an_own_list_is_not_overwritten(people, capsys):
    options = ("--genuine", 6, "--impostor", 6)
    assert pairs(people, *options) == pairs(people, *options) == 0
    first = (people / "pairs.csv").read_text()
    assert pairs(people, *options, "--seed", 2) == 2
    assert "is there already and differs" in capsys.readouterr().err
    (people / "pairs.csv").unlink()
    assert pairs(people, *options, "--seed", 2) == 0 and (people / "pairs.csv").read_text() != first


def test_folders_without_people_or_second_images_are_explained(people, tmp_path, capsys):
    assert pairs(tmp_path / "nowhere") == 2 and "nowhere is missing" in capsys.readouterr().err
    for path in people.glob("*/[12].png"):
        path.unlink()
    assert pairs(people) == 2 and "has not a person with two images" in capsys.readouterr().err
