"""Fetching a checkpoint: licence first, then a download that resumes; only the right digest completes it."""
import math
import os
import re
import sys
from pathlib import Path
from typing import Protocol

import pooch
import requests

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.progress import progress
from fiqa_core.weights.catalogue import Model
from fiqa_core.weights.place import weights_folder
from fiqa_core.weights.presence import remember, verify, writing

MEGABYTE = 10**6
TIMEOUT = (15, 60)          # seconds to connect, and between two pieces


class Published(Protocol):
    """A file that somebody publishes: a Model of the catalogue, or a part of a benchmark."""

    slug: str
    url: str
    sha256: str
    size: int | None
    page: str

    def by_hand(self) -> str:
        """What a user does who has the file from elsewhere, after "get it elsewhere and"."""


def fetch(model: Model, accepted: bool = False) -> Path:
    """The model's file in the weights folder, downloaded if it is not there; its licence is shown first.

    accepted: the user has accepted the licence on the command line; otherwise the terminal is asked.
    Raises FiqaError where the file cannot be fetched automatically, the licence is not accepted, the host
    cannot be reached, the connection breaks (what arrived is kept) or another file than the published came.
    """
    if not model.url:
        raise FiqaError(f"{model.slug} cannot be fetched automatically", f"get it by hand: {model.how_to_get()}")
    target = weights_folder() / model.file
    if target.exists():
        remember(target, verify(model, target))
        return target
    agree(model, accepted)
    with writing(target):
        download(model, target)
        remember(target, model.sha256)
    return target


def agree(model: Model, accepted: bool) -> None:
    """Show the licence and have it accepted. Raises FiqaError where it is not."""
    source = model.source
    print(f"{model.slug}: {source.paper}\n  from     {model.url}\n  licence  {source.licence}")
    if source.terms:
        print(f"  terms    {source.terms}")
    ask(model.slug, source.licence, accepted)


def ask(slug: str, licence: str, accepted: bool) -> None:
    """Have the licence that was just shown accepted, on the command line or the terminal; else FiqaError."""
    if accepted:
        print("  accepted with --accept-licence")
        return
    if not sys.stdin.isatty():
        raise FiqaError(f"{slug}: its licence ({licence}) is not accepted",
                        "read it above, then add --accept-licence")
    if input("  do you accept it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise FiqaError(f"{slug}: its licence ({licence}) was not accepted", "nothing was fetched")


def download(model: Published, target: Path) -> None:
    """Fetch the file's url to `target` and verify its digest; an earlier attempt is continued."""
    pooch.get_logger().setLevel("ERROR")        # our own lines say what happens
    target.parent.mkdir(parents=True, exist_ok=True)
    downloader = Resuming(target.with_name(target.name + ".partial"), model)
    try:
        pooch.retrieve(model.url, f"sha256:{model.sha256}", target.name, target.parent,
                       downloader=downloader)
    except ValueError as error:                 # pooch's word for a digest that differs
        if downloader.resumed:                  # the earlier part may have been of another file: once from 0
            return download(model, target)
        raise FiqaError(f"{model.slug}: {model.url} sent another file than the published one; "
                        f"nothing was kept ({_digests(error)})",
                        f"try again later; if it stays so, look at {model.page} whether the file was "
                        "replaced") from None


class Resuming:
    """A downloader for pooch that keeps what arrived in `partial` and asks only for the rest next time."""

    def __init__(self, partial: Path, model: Published):
        self.partial, self.model, self.resumed = partial, model, False

    def __call__(self, url: str, output_file: str, _pooch) -> None:
        """Download `url` to `output_file`. Raises FiqaError; `partial` then holds what there is."""
        have = self.partial.stat().st_size if self.partial.exists() else 0
        with self._request(url, have) as response:
            if response.status_code == 416:     # there is no such rest: what is here is no beginning of it
                self.partial.unlink()
                return self(url, output_file, _pooch)
            self.resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            self._receive(response, "ab" if self.resumed else "wb")
        self._compare_size()
        os.replace(self.partial, output_file)

    def _request(self, url: str, have: int) -> requests.Response:
        # compressed in transit, lengths and ranges would count other bytes
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise FiqaError(f"{self.model.slug}: {url} cannot be reached: {_reason(error)}",
                            "check the network and the proxy and try again, or get the file elsewhere and "
                            f"{self.model.by_hand()}") from None
        if response.status_code not in (200, 206, 416):
            raise FiqaError(f"{self.model.slug}: {url} answers {response.status_code} {response.reason}",
                            f"look for the file on {self.model.page} and {self.model.by_hand()}")
        return response

    def _receive(self, response: requests.Response, mode: str) -> None:
        """Write the body to `partial`, with progress in MB. Raises FiqaError where the connection breaks."""
        pieces = response.iter_content(MEGABYTE)
        length = int(response.headers.get("Content-Length", 0))
        if length:
            pieces = progress(pieces, f"fetching {self.model.slug}", math.ceil(length / MEGABYTE), "MB")
        try:
            with open(self.partial, mode) as file:
                file.writelines(pieces)
        except requests.RequestException:
            raise FiqaError(f"{self.model.slug}: the connection broke off; "
                            f"{self.partial.stat().st_size:,} bytes have arrived",
                            "run the same command again; it goes on from there") from None

    def _compare_size(self) -> None:
        size, published = self.partial.stat().st_size, self.model.size
        if published is not None and size != published:
            self.partial.unlink()
            raise FiqaError(f"{self.model.slug}: the server sent {size:,} bytes instead of {published:,}; "
                            "nothing was kept", "try again later")


def _digests(error: ValueError) -> str:
    """"expected sha256:..., but got ..." out of pooch's message."""
    return str(error).partition("known hash: ")[2].partition(". Deleted")[0]


def _reason(error: Exception) -> str:
    """What the operating system said ("Connection refused"), or else the whole message."""
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", str(error))
    return found[1] if found else str(error)
