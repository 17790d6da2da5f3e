"""The compiled hot path under the address and undefined-behaviour sanitizers, with all tests of the hot path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_build import SOURCE, compile_hot_path

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent.parent
SANITISERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CHILD = """\
import importlib.util, sys
import pytest
spec = importlib.util.spec_from_file_location("harness.load.hot.compiled", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.modules[spec.name] = module
sys.exit(pytest.main(["-s", "-p", "no:cacheprovider", "--timeout=800", *sys.argv[2:]]))
"""


def sanitised(tmp_path: Path, source: Path, *tests: str) -> "subprocess.CompletedProcess[str]":
    built = tmp_path / "compiled.abi3.so"
    assert compile_hot_path(source, built, *SANITISERS)
    library = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    environment = {
        **os.environ,
        "LD_PRELOAD": library.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, "-c", CHILD, str(built), *tests, f"--basetemp={tmp_path / 'base'}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_no_byte_is_touched_that_is_not_ours(tmp_path: Path) -> None:
    ended = sanitised(
        tmp_path, SOURCE, "tests/load/test_hot.py", "tests/load/test_segments.py", "tests/load/test_stencil.py"
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    assert "skipped" not in ended.stdout


def test_the_sanitizers_would_see_it(tmp_path: Path) -> None:
    """A source whose buffer does not grow must fail, or the test above says nothing."""
    text, growth = SOURCE.read_text(), "|| !make_room(self, text_size)"
    assert growth in text
    broken = tmp_path / "compiled.c"
    broken.write_text(text.replace(growth, "|| (!self->text && !make_room(self, text_size))"))
    ended = sanitised(tmp_path, broken, "tests/load/test_hot.py", "-k", "full_run")
    assert ended.returncode != 0 and "AddressSanitizer" in ended.stdout + ended.stderr
