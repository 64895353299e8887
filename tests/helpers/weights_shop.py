"""A catalogue of one model, whose file a server on this machine offers, and the command that uses it."""
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import yaml

from fiqa_core import cli
from fiqa_core.weights import catalogue

ARCHITECTURE = "mobilefacenet_foamliu"
CONTENT = bytes(range(256)) * 14_000        # 3.6 MB: more than three pieces of a download


def write_catalogue(folder, **model):
    """A catalogue with one recogniser `tiny`; `model` sets its fields."""
    source = {"paper": "Tiny networks", "page": "https://example.org/tiny", "licence": "CC BY 4.0",
              "terms": "Name the authors.", "get": "ask for it"}
    fields = {"source": "tiny", "kind": "recogniser", "architecture": ARCHITECTURE, "file": "tiny.pth"}
    path = folder / f"catalogue_{len(list(folder.glob('*.yaml')))}.yaml"
    path.write_text(yaml.safe_dump({"sources": {"tiny": source}, "models": {"tiny": fields | model}}))
    return path


class Shelf(BaseHTTPRequestHandler):
    """Offers `server.content`; breaks off after `server.breaks` bytes, or ignores ranges, where told to."""

    def do_GET(self):
        content, asked = self.server.content, self.headers.get("Range")
        self.server.ranges.append(asked)
        first = int(re.findall(r"\d+", asked)[0]) if asked and self.server.resumes else 0
        if self.server.status != 200:
            return self.send_error(self.server.status)
        if first >= len(content):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[first:self.server.breaks])

    def log_message(self, *_):
        pass


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A running server, an empty weights folder, and `offer(**fields)` to fill the catalogue."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    server.content, server.ranges, server.breaks, server.resumes, server.status = CONTENT, [], None, True, 200
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address = f"http://127.0.0.1:{server.server_port}/tiny.pth"

    def offer(**fields):
        fields = {"url": address, "sha256": hashlib.sha256(CONTENT).hexdigest()} | fields
        monkeypatch.setattr(catalogue, "CATALOGUE", write_catalogue(tmp_path, **fields))
        return catalogue.find_model("tiny")

    target = tmp_path / "weights" / "tiny.pth"
    yield SimpleNamespace(server=server, offer=offer, address=address, target=target,
                          partial=target.with_name("tiny.pth.partial"))
    server.shutdown()
    server.server_close()
    thread.join()


def weights(*arguments: str) -> int:
    return cli.main(["weights", *map(str, arguments)])
