"""The machine under the client: what its host took, and CPUs that may not sleep."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.load import machine
from harness.load.machine import Awake, CpuTime, awake_where_allowed, cpu_time, not_allowed, stolen_share

TICKS = st.integers(0, 10**9)


def test_the_share_is_of_all_cpu_time_between_two_readings() -> None:
    assert stolen_share(CpuTime(1000, 10), CpuTime(3000, 230)) == 0.11
    assert stolen_share(CpuTime(1000, 10), CpuTime(1000, 10)) is None, "no tick has passed"
    assert stolen_share(None, CpuTime(1, 0)) is None and stolen_share(CpuTime(1, 0), None) is None


@given(TICKS, TICKS, TICKS, TICKS)
def test_a_share_is_a_share(total: int, stolen: int, more: int, taken: int) -> None:
    share = stolen_share(CpuTime(total, stolen), CpuTime(total + more + taken, stolen + taken))
    assert (share is None) == (more + taken == 0)
    assert share is None or 0 <= share <= 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cpu  10 20 30 40 50 60 70 80 5 5\ncpu0 1 1 1 1 1 1 1 1\n", CpuTime(360, 80)),  # guest time is in user already
        ("cpu  10 20 30 40\n", None),
        ("", None),
        ("cpu a b c d e f g h\n", None),
    ],
)
def test_the_kernels_own_line_is_read(
    text: str, found: CpuTime | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_STAT", tmp_path / "stat")
    assert cpu_time() is None, "a system without it"
    (tmp_path / "stat").write_text(text)
    assert cpu_time() == found


def test_this_kernel_tells() -> None:
    before = cpu_time()
    assert before is not None and before.total > before.stolen >= 0


def test_a_zero_is_held_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "latency"
    file.touch()
    monkeypatch.setattr(machine, "LATENCY", file)
    assert not_allowed() == []
    with Awake() as awake:
        assert _holders(file) == [os.getpid()]
        assert file.read_bytes() == struct.pack("i", 0)
    assert _holders(file) == []
    awake.close()


def test_where_it_is_not_allowed_one_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LATENCY", tmp_path / "none")
    assert [mistake.key for mistake in not_allowed()] == ["--keep-awake"]
    with pytest.raises(InputError, match="No such file") as caught:
        Awake()
    with awake_where_allowed() as awake:
        assert not awake
    assert [mistake.key for mistake in caught.value.mistakes] == ["--keep-awake"]


def _holders(file: Path) -> list[int]:
    mine = Path("/proc/self/fd")
    return [os.getpid() for each in mine.iterdir() if each.exists() and each.resolve() == file.resolve()]
