"""Both forms of the hot path take, keep and hand on the same; what they take is what a parser would have found."""

import json
import socket
import struct
from array import array
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wires import AFTER, BEFORE, Bench, framed

from harness.load import hot
from harness.load.engine.stamps import now_ns
from harness.load.hot import plain


def test_this_machine_runs_what_was_built(compiled: ModuleType) -> None:
    assert hot.FORM == "compiled" and hot.Taken is compiled.Taken


# -- Taken

_texts = (
    st.binary(max_size=8)
    | st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text(min_size=200, max_size=270).map(str.encode)
    | st.sampled_from([b"", b'"', b"\\", b"\n", b"\x1f", b"\x7f", b" word", "语".encode(), b"\xed\xa0\x80", b"\xc0\x80",
                       b"\xf4\x90\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xe0\x9f\xbf", b"\xc3", b"\xf0\x9f\x98"])
)  # fmt: skip


@st.composite
def _reads(draw: st.DrawFn) -> bytes:
    """A read that fits, or nearly."""
    read = bytearray(
        framed(draw(_texts), draw(st.sampled_from([BEFORE, b"x"])), draw(st.sampled_from([AFTER, b"\r\n"])))
    )
    for _ in range(draw(st.integers(0, 1))):
        at = draw(st.integers(0, len(read)))
        read[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(read)


_steps = st.lists(
    st.tuples(st.just("take"), _reads(), st.integers(-(2**62), 2**62), st.integers(0, 10**9))
    | st.tuples(st.just("open"), st.sampled_from([BEFORE, b"x", b""]), st.sampled_from([AFTER, b"\r\n", b""]))
    | st.tuples(st.sampled_from(["close", "hand_over"])),
    max_size=30,
)


def play(steps: list[tuple[Any, ...]], taken: Any) -> list[Any]:
    seen: list[Any] = []
    for name, *arguments in steps:
        if name == "take":
            read, arrival_ns, lag_ns = arguments
            arguments = [read, arrival_ns, arrival_ns + lag_ns]
        seen += [getattr(taken, name)(*arguments), taken.count, taken.is_open]
    return [*seen, taken.hand_over()]


@settings(max_examples=400, deadline=None)
@given(_steps)
@example(
    [("open", b"", b""), ("take", b"abcdef", 1, 1), ("take", b"2\r\nab\r\n" * 2, 1, 1), ("take", b"2\r\nabcd", 1, 1)]
)
@example([("open", BEFORE, AFTER), *[("take", framed(b"a" * size), 1, 1) for size in range(300)]])
def test_both_forms_do_the_same(compiled: ModuleType, steps: list[tuple[Any, ...]]) -> None:
    steps = [("open", BEFORE, AFTER), *steps]
    assert play(steps, compiled.Taken()) == play(steps, plain.Taken())


@settings(max_examples=400, deadline=None)
@given(_reads())
def test_what_is_taken_is_what_json_says(compiled: ModuleType, read: bytes) -> None:
    for form in (plain, compiled):
        taken = form.Taken()
        taken.open(BEFORE, AFTER)
        if taken.take(read, 1, 1):
            said = []
            while read:
                size, _, rest = read.partition(b"\r\n")
                chunk, end, read = rest[: int(size, 16)], rest[int(size, 16) :][:2], rest[int(size, 16) + 2 :]
                assert size == b"%x" % len(chunk) and end == b"\r\n" and chunk.endswith(b"\n\n")
                value = json.loads(chunk.removeprefix(b"data: "))
                assert list(value) == ["content"] and value["content"] != ""
                said.append(value["content"])
            text, ends, arrivals_ns, lags_ns = taken.hand_over()
            assert text.decode() == "".join(said) and len(array("I", ends)) == len(said)
            assert list(array("q", arrivals_ns)) == [1] * len(said)
            assert list(array("q", lags_ns)) == [0] + [plain.SHARED] * (len(said) - 1)


def test_a_run_is_handed_over_once(form: ModuleType) -> None:
    taken = form.Taken()
    assert not taken.take(framed(b"closed"), 1, 2)
    taken.open(BEFORE, AFTER)
    for at, text in enumerate([b"a", "é".encode(), b" word"]):
        assert taken.take(framed(text), 1000 * at, 1000 * at + at)
    text, ends, arrivals_ns, lags_ns = taken.hand_over()
    assert text.decode() == "aé word"
    assert list(array("I", ends)) == [1, 3, 8]
    assert (list(array("q", arrivals_ns)), list(array("q", lags_ns))) == ([0, 1000, 2000], [0, 1, 2])
    assert taken.count == 0 and taken.hand_over() == (b"", b"", b"", b"")
    assert taken.is_open  # an empty run goes on


def test_a_read_is_taken_whole_or_not_at_all(form: ModuleType) -> None:
    taken = form.Taken()
    taken.open(BEFORE, AFTER)
    assert taken.take(framed(b"a") + framed(b"b"), 5, 7)
    assert not taken.take(framed(b"c") + framed(b'"'), 6, 8)
    assert not taken.take(framed(b"c") + framed(b"d")[:-1], 6, 8)
    assert not taken.take(framed(b"c") + b"0\r\n\r\n", 6, 8)
    assert taken.take(framed(b"e"), 9, 9)
    text, ends, arrivals_ns, lags_ns = taken.hand_over()
    assert (text, list(array("I", ends))) == (b"abe", [1, 2, 3])
    assert (list(array("q", arrivals_ns)), list(array("q", lags_ns))) == ([5, 5, 9], [2, plain.SHARED, 0])


def test_a_full_run_refuses_until_it_is_handed_over(form: ModuleType) -> None:
    taken = form.Taken()
    taken.open(BEFORE, AFTER)
    reads = 0
    while taken.take(framed(b"%0500d" % reads), 0, 0):
        reads += 1
    assert reads == plain.MOST_TEXT_BYTES // 500
    taken.hand_over()
    assert taken.take(framed(b"more"), 0, 0)


def test_nonsense_is_a_type_error(compiled: ModuleType) -> None:
    taken, reads = compiled.Taken(), compiled.Reads()
    for wrong in (
        lambda: taken.open("before", b"after"),
        lambda: taken.take(b"read", 1),
        lambda: reads.carry(1),
        lambda: reads.carry(1, "taken"),
        lambda: reads.carry("no socket", None),
        lambda: reads.read(object(), 0, True),
        lambda: reads.read_ready(None, 0, True),
    ):
        with pytest.raises(TypeError):
            wrong()
    taken.open(BEFORE, AFTER)
    with pytest.raises(TypeError):
        taken.take("read", 1, 2)
    with pytest.raises(OverflowError):
        taken.take(framed(b"a"), 1 << 64, 2)
    assert taken.count == 0


# -- Reads


def test_a_read_that_fits_is_taken_with_its_arrival(bench: Bench) -> None:
    taken = bench.opened()
    wire = bench.wire(taken)
    before_ns = now_ns()
    wire.far.sendall(framed(b" word"))
    sent_ns = now_ns()
    ready, left = bench.read()
    text, _, arrivals_ns, lags_ns = taken.hand_over()
    if not bench.clock.kernel:
        pytest.skip("this kernel stamps no arrivals")
    assert (ready, left, text) == (1, [], b" word")
    (arrival_ns,), (lag_ns,) = array("q", arrivals_ns), array("q", lags_ns)
    assert before_ns - 100_000 <= arrival_ns <= sent_ns + 100_000
    assert 0 <= lag_ns <= now_ns() - arrival_ns


def test_what_does_not_fit_is_handed_on(bench: Bench) -> None:
    taken = bench.opened()
    odd, idle = bench.wire(taken), bench.wire(None)
    odd.far.sendall(b"something else")
    idle.far.sendall(framed(b"nobody listens"))
    assert bench.poller.poll(2)
    _, left = bench.read()
    left += bench.read()[1] if len(left) < 2 else []
    found = {fd: data for fd, data, _, _ in left}
    assert found == {odd.near.fileno(): b"something else", idle.near.fileno(): framed(b"nobody listens")}
    assert taken.count == 0
    for _, _, arrival_ns, read_ns in left:
        assert arrival_ns is None or 0 <= read_ns - arrival_ns < 2e9


def test_stamps_that_mean_nothing_are_not_used(bench: Bench) -> None:
    taken = bench.opened()
    wire = bench.wire(taken)
    wire.far.sendall(framed(b" word"))
    _, ((fd, data, arrival_ns, read_ns),) = bench.read(trusted=False)
    assert (fd, data, arrival_ns, taken.count) == (wire.near.fileno(), framed(b" word"), None, 0)
    assert 0 <= now_ns() - read_ns < 2e9


def test_a_stamp_in_the_future_is_the_time_of_the_read(bench: Bench) -> None:
    wire = bench.wire(None)
    wire.far.sendall(b"x")
    assert bench.poller.poll(2)
    _, ((_, _, arrival_ns, read_ns),) = bench.reads.read_ready(bench.poller, bench.clock.offset_ns - 10**15, True)
    assert arrival_ns in (read_ns, None)


def test_ends_and_resets_are_told(bench: Bench) -> None:
    ended, reset = bench.wire(bench.opened()), bench.wire(bench.opened())
    ended.far.close()
    reset.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.far.close()
    found: dict[int, Any] = {}
    while len(found) < 2:
        found.update({fd: data for fd, data, _, _ in bench.read()[1]})
    assert found[ended.near.fileno()] == b""
    error = found[reset.near.fileno()]
    assert isinstance(error, ConnectionResetError) and error.strerror == "Connection reset by peer"


def test_a_dropped_socket_leaves_nothing_to_the_next_with_its_number(bench: Bench) -> None:
    taken = bench.opened()
    first = bench.wire(taken)
    number = first.near.fileno()
    bench.reads.drop(first.near)
    first.close()
    second = bench.wire(None)
    while second.near.fileno() != number:
        second = bench.wire(None)
    second.far.sendall(framed(b" word"))
    _, left = bench.read()
    assert [data for _, data, _, _ in left] == [framed(b" word")]
    assert taken.count == 0


def test_one_go_reads_at_most_128_sockets_and_none_is_forgotten(bench: Bench) -> None:
    taken = [bench.opened() for _ in range(200)]
    for each in taken:
        bench.wire(each).far.sendall(framed(b" word"))
    first, _ = bench.read()
    second, _ = bench.read()
    assert first == plain.MOST_EVENTS
    if bench.clock.kernel:
        assert second >= 72 and all(each.count == 1 for each in taken)


def test_one_socket_can_be_asked(bench: Bench) -> None:
    wire = bench.wire(None)
    assert bench.reads.read(wire.near, 0, True) == []
    wire.far.sendall(b"late")
    assert bench.poller.poll(2)
    ((fd, data, _, _),) = bench.reads.read(wire.near, bench.clock.offset_ns, True)
    assert (fd, data) == (wire.near.fileno(), b"late")
