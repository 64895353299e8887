"""`weights fetch` from a server on the loopback address: licence, digests, and all that breaks on the way."""
import functools
import hashlib
import socket
from types import SimpleNamespace

import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.progress import progress
from fiqa_core.weights import catalogue, fetch, presence
from tests.helpers.weights_shop import CONTENT, weights


@pytest.fixture
def refusal(shop, capsys):
    """The message of a fetch that ends with exit code 2, after the model's entry got some fields."""
    def refuse(*options, **fields):
        shop.offer(**fields)
        assert weights("fetch", "tiny", *(options or ["--accept-licence"])) == 2
        return capsys.readouterr().err
    return refuse


def test_fetch_shows_the_licence_and_brings_the_right_file_once(shop, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "progress", functools.partial(progress, every=0))
    model = shop.offer(size=len(CONTENT))
    assert weights("fetch", "tiny", "--accept-licence") == 0
    printed = capsys.readouterr()
    assert printed.out.index("CC BY 4.0") < printed.out.index(str(shop.target))
    assert "Name the authors." in printed.out and shop.address in printed.out
    assert "fetching tiny: 4/4 MB" in printed.err
    assert shop.target.read_bytes() == CONTENT and not shop.partial.exists()
    assert presence.state_of(catalogue.find_model("tiny")) == "valid"
    assert fetch.fetch(model, accepted=True) == shop.target and len(shop.server.ranges) == 1


def test_another_file_in_its_place_is_never_overwritten(shop):
    shop.target.parent.mkdir()
    shop.target.write_bytes(b"my own")
    with pytest.raises(FiqaError, match="not the published file"):
        fetch.fetch(shop.offer(), accepted=True)
    assert shop.target.read_bytes() == b"my own" and not shop.server.ranges


@pytest.mark.parametrize("answer, code", [("n", 2), ("", 2), ("y", 0), (None, 2)])
def test_the_licence_has_to_be_accepted_on_the_terminal_or_by_option(shop, monkeypatch, capsys, answer, code):
    """answer None: there is no terminal."""
    shop.offer()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: answer is not None))
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert weights("fetch", "tiny") == code
    printed = capsys.readouterr()
    assert "CC BY 4.0" in printed.out and ("--accept-licence" in printed.err) == (answer is None)
    assert shop.target.exists() == (code == 0) and bool(shop.server.ranges) == (code == 0)


def test_another_file_than_the_published_is_not_kept(shop, refusal):
    message = refusal(sha256="0" * 64)
    assert "another file than the published one" in message and hashlib.sha256(CONTENT).hexdigest() in message
    shop.server.content = CONTENT[:-1000]
    assert f"nothing was kept ({len(CONTENT) - 1000:,} bytes" in refusal(size=len(CONTENT))
    assert not list(shop.target.parent.iterdir())


def test_an_interrupted_download_goes_on_where_it_stopped(shop, refusal):
    shop.server.breaks = 2_500_000
    message, kept = refusal(), shop.partial.stat().st_size
    assert "broke off" in message and "goes on from there" in message and f"{kept:,} bytes" in message
    assert kept >= 2_000_000 and not shop.target.exists()
    shop.server.breaks = None
    assert weights("fetch", "tiny", "--accept-licence") == 0
    assert shop.server.ranges == [None, f"bytes={kept}-"]
    assert shop.target.read_bytes() == CONTENT and not shop.partial.exists()


def test_ctrl_c_keeps_what_has_arrived(shop, monkeypatch):
    def impatient(pieces, *_):
        yield next(iter(pieces))
        raise KeyboardInterrupt

    shop.offer()
    monkeypatch.setattr(fetch, "progress", impatient)
    assert weights("fetch", "tiny", "--accept-licence") == 130
    assert shop.partial.read_bytes() == CONTENT[:1_000_000]


@pytest.mark.parametrize("rest, resumes, again", [
    (CONTENT[:1000], True, []), (CONTENT[:1000], False, []), (CONTENT, True, []),
    (CONTENT + b"more", True, [None]), (b"the beginning of another file", True, [None])])
def test_a_rest_that_cannot_be_continued_starts_again(shop, rest, resumes, again):
    """resumes False: the server sends everything, whatever part it is asked for."""
    shop.server.resumes = resumes
    shop.partial.parent.mkdir()
    shop.partial.write_bytes(rest)
    assert fetch.fetch(shop.offer(), accepted=True).read_bytes() == CONTENT
    assert shop.server.ranges == [f"bytes={len(rest)}-", *again]


def test_what_keeps_a_file_from_coming_is_named(shop, refusal):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}/tiny.pth"
    message = refusal(url=f"http://{address}")
    assert f"{address} cannot be reached: Connection refused" in message
    assert "weights add tiny FILE" in message
    message = refusal(url=None)
    assert "on https://example.org/tiny ask for it" in message and "weights add tiny FILE" in message
    shop.server.status = 404
    assert "answers 404" in refusal()
    shop.target.parent.rmdir()
    shop.target.parent.write_text("a file where the folder should be")
    message = refusal()
    assert f"{shop.target} cannot be written" in message and "FIQA_WEIGHTS" in message
