"""Batches carry every line once; what is lost or foreign is known."""

from hypothesis import given
from hypothesis import strategies as st

from loadtests.shipping import BATCH_BYTES, Batch, Inbox, Outbox, from_wire, to_wire

LINES = st.lists(st.binary(min_size=1, max_size=40).filter(lambda line: b"\n" not in line and b"\r" not in line))


@given(rounds=st.lists(LINES, max_size=6), order=st.randoms(use_true_random=False))
def test_every_line_arrives_once_in_any_order(rounds: list[list[bytes]], order: object) -> None:
    outbox, inbox = Outbox("run", "w0"), Inbox("run")
    batches = []
    for lines in rounds:
        for line in lines:
            outbox.add(line, None)
        batches.append(outbox.take(0, 0))
        assert outbox.bytes == 0
    twice = [*batches, *batches]
    order.shuffle(twice)  # type: ignore[attr-defined]
    taken = [batch for batch in twice if inbox.accept(from_wire(to_wire(batch)))]
    arrived = sorted(line for batch in taken for line in batch.lines.split(b"\n")[:-1])
    assert arrived == sorted(line for lines in rounds for line in lines)
    assert inbox.missing() == {}
    assert inbox.received.get("w0", 0) == sum(map(len, rounds))


def test_a_lost_batch_is_missed() -> None:
    outbox, inbox = Outbox("run", "w1"), Inbox("run")
    outbox.add(b"one", None)
    outbox.add(b"two", b'{"answer":"2"}')
    lost = outbox.take(2, 1)
    outbox.add(b"three", None)
    assert inbox.accept(outbox.take(0, 0, b"{}"))
    assert inbox.missing() == {"w1": 2}
    assert inbox.accept(lost)
    assert inbox.missing() == {}


def test_another_run_is_not_ours() -> None:
    inbox = Inbox("this-run")
    assert not inbox.accept(Batch(run_id="that-run", worker="w0", seq=0, lines=b"x\n", records=1, total=1))
    assert inbox.foreign == 1
    assert inbox.received == {}


def test_a_batch_is_plain_and_small() -> None:
    outbox = Outbox("run", "w0")
    outbox.add(b"line", b"answer")
    wire = to_wire(outbox.take(3, 2))
    assert {type(value) for value in wire.values()} <= {str, int, bytes, type(None)}
    assert wire["lines"] == b"line\n"
    assert wire["answers"] == b"answer\n"
    assert BATCH_BYTES <= 200_000, "a larger message would hold up the hub of a worker"
