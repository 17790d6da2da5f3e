"""Install pinned tools, each in a virtual environment of its own under build/peers."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.truth import BUILD

PEERS = BUILD / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
UV = "uv==0.13.9"
LIMIT_S = 900


class InstallError(Exception):
    """A tool could not be installed; the message is the first line of the reason."""


def install(environment: str, wheels: tuple[str, ...] = ()) -> Path:
    """The environment's folder of programs. Installed anew only when its requirements have changed."""
    requirements = REQUIREMENTS / f"{environment}.txt"
    folder, ready = PEERS / environment, PEERS / environment / ".ready"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not ready.exists() or ready.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        uv = _uv()
        _run([uv, "venv", "--quiet", "--python", sys.executable, folder])
        command = [uv, "pip", "install", "--quiet", "--no-deps"]
        command += ["--python", folder / "bin/python", "--requirement", requirements]
        _run([*command, *_downloaded(wheels)])
        ready.write_text(digest)
    return folder / "bin"


def _downloaded(wheels: tuple[str, ...]) -> list[str]:
    """Wheels that pip is told where to find (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS), handed to uv as a folder."""
    if not wheels:
        return []
    folder = PEERS / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run([*pip, "--dest", folder, *wheels])
    return ["--find-links", str(folder)]


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found:
        return found
    folder = PEERS / "uv"
    if not (folder / "bin/uv").exists():
        venv.create(folder, with_pip=True)
        _run([folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
    return str(folder / "bin/uv")


def _run(command: list[str | Path]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.CalledProcessError as error:
        raise InstallError(first_line(error.stderr) or f"{command[0]} failed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(str(error)) from None


def first_line(text: str) -> str:
    """The first line that says something is wrong, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = (line for line in lines if "error" in line.lower() or "exception" in line.lower())
    return next(wrong, lines[-1] if lines else "")[:160]
