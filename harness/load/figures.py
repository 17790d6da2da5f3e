"""StreamRecord -> the few milliseconds that a live view shows. The report's own figures come from `measure`."""

from harness.records import StreamRecord


def e2e_ms(record: StreamRecord) -> float:
    """From the last byte sent (or the start, if nothing was sent) to the end."""
    return _ms(record.sent_last_ns or record.started_ns, record.ended_ns)


def ttft_ms(record: StreamRecord) -> float | None:
    """To the first delta of any kind."""
    firsts = [at for at in (record.first_reasoning_ns, record.first_answer_ns) if at is not None]
    if record.sent_last_ns is None or not firsts:
        return None
    return _ms(record.sent_last_ns, min(firsts))


def ttfat_ms(record: StreamRecord) -> float | None:
    """To the first answer or tool-call delta."""
    if record.sent_last_ns is None or record.first_answer_ns is None:
        return None
    return _ms(record.sent_last_ns, record.first_answer_ns)


def error_text(record: StreamRecord) -> str:
    """One line, low in variety, for a failure table."""
    status = f" {record.status}" if record.status is not None and record.status != 200 else ""
    return f"{record.outcome.value}{status}"


def _ms(begin_ns: int, end_ns: int) -> float:
    return (end_ns - begin_ns) / 1e6
