"""`weights fetch` against a server on the loopback address: licence, digests, and all that breaks on the way."""
import functools
import hashlib
import socket
from types import SimpleNamespace

import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.progress import progress
from fiqa_core.weights import catalogue, fetch, presence
from tests.helpers.weights_shop import CONTENT, weights


def test_fetch_shows_the_licence_and_brings_the_right_file(shop, capsys):
    shop.offer(size=len(CONTENT))
    assert weights("fetch", "tiny", "--accept-licence") == 0
    printed = capsys.readouterr().out
    assert printed.index("CC BY 4.0") < printed.index(str(shop.target))
    assert "Name the authors." in printed and shop.address in printed
    assert shop.target.read_bytes() == CONTENT and not shop.partial.exists()
    assert presence.state_of(catalogue.find_model("tiny")) == "valid"


def test_a_file_that_is_there_is_not_fetched_again(shop):
    model = shop.offer()
    for _ in range(2):
        assert fetch.fetch(model, accepted=True) == shop.target
    assert len(shop.server.ranges) == 1


def test_another_file_in_its_place_is_never_overwritten(shop):
    shop.target.parent.mkdir()
    shop.target.write_bytes(b"my own")
    with pytest.raises(FiqaError, match="not the published file"):
        fetch.fetch(shop.offer(), accepted=True)
    assert shop.target.read_bytes() == b"my own" and not shop.server.ranges


def test_fetch_says_how_far_it_is(shop, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "progress", functools.partial(progress, every=0))
    fetch.fetch(shop.offer(), accepted=True)
    assert "fetching tiny: 4/4 MB" in capsys.readouterr().err


@pytest.mark.parametrize("answer, code", [("n", 2), ("", 2), ("y", 0)])
def test_the_terminal_is_asked_to_accept_the_licence(shop, monkeypatch, capsys, answer, code):
    shop.offer()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert weights("fetch", "tiny") == code
    assert "CC BY 4.0" in capsys.readouterr().out
    assert shop.target.exists() == (code == 0) and bool(shop.server.ranges) == (code == 0)


def test_without_a_terminal_the_licence_has_to_be_accepted_by_option(shop, monkeypatch, capsys):
    shop.offer()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert weights("fetch", "tiny") == 2
    printed = capsys.readouterr()
    assert "CC BY 4.0" in printed.out and "--accept-licence" in printed.err and not shop.server.ranges


def test_a_wrong_digest_keeps_nothing(shop, capsys):
    shop.offer(sha256="0" * 64)
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert "another file than the published one" in message and hashlib.sha256(CONTENT).hexdigest() in message
    assert not list(shop.target.parent.iterdir())


def test_a_truncated_file_is_told_by_its_size(shop, capsys):
    shop.offer(size=len(CONTENT))
    shop.server.content = CONTENT[:-1000]
    assert weights("fetch", "tiny", "--accept-licence") == 2
    assert f"nothing was kept ({len(CONTENT) - 1000:,} bytes" in capsys.readouterr().err
    assert not list(shop.target.parent.iterdir())


def test_an_interrupted_download_goes_on_where_it_stopped(shop, capsys):
    shop.offer()
    shop.server.breaks = 2_500_000
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    kept = shop.partial.stat().st_size
    assert "broke off" in message and "goes on from there" in message and f"{kept:,} bytes" in message
    assert kept >= 2_000_000 and not shop.target.exists()
    shop.server.breaks = None
    assert weights("fetch", "tiny", "--accept-licence") == 0
    assert shop.server.ranges == [None, f"bytes={kept}-"]
    assert shop.target.read_bytes() == CONTENT and not shop.partial.exists()


def test_ctrl_c_keeps_what_has_arrived(shop, monkeypatch, capsys):
    def impatient(pieces, *_):
        yield next(iter(pieces))
        raise KeyboardInterrupt

    shop.offer()
    monkeypatch.setattr(fetch, "progress", impatient)
    assert weights("fetch", "tiny", "--accept-licence") == 130
    assert shop.partial.read_bytes() == CONTENT[:1_000_000]


def test_a_server_without_ranges_sends_everything_again(shop):
    shop.server.resumes = False
    shop.partial.parent.mkdir()
    shop.partial.write_bytes(CONTENT[:1000])
    assert fetch.fetch(shop.offer(), accepted=True).read_bytes() == CONTENT
    assert shop.server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("rest, again", [(CONTENT, []), (CONTENT + b"more", [None]),
                                         (b"the beginning of another file", [None])])
def test_a_rest_that_cannot_be_continued_starts_again(shop, rest, again):
    shop.partial.parent.mkdir()
    shop.partial.write_bytes(rest)
    assert fetch.fetch(shop.offer(), accepted=True).read_bytes() == CONTENT
    assert shop.server.ranges == [f"bytes={len(rest)}-", *again]


def test_an_unreachable_host_is_named(shop, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shop.offer(url=f"http://127.0.0.1:{port}/tiny.pth")
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert f"127.0.0.1:{port}/tiny.pth cannot be reached: Connection refused" in message
    assert "weights add tiny FILE" in message


def test_a_file_that_the_server_does_not_have_is_named(shop, capsys):
    shop.offer()
    shop.server.status = 404
    assert weights("fetch", "tiny", "--accept-licence") == 2
    assert "answers 404" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(shop, capsys):
    shop.offer()
    shop.target.parent.write_text("a file where the folder should be")
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert f"{shop.target} cannot be written" in message and "FIQA_WEIGHTS" in message


def test_what_cannot_be_fetched_says_how_to_get_it(shop, capsys):
    shop.offer(url=None)
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert "on https://example.org/tiny ask for it" in message and "weights add tiny FILE" in message
