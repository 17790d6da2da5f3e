"""The Markdown table of `make bench-peers`."""

from typing import TYPE_CHECKING

from benchmarks.peers.join import Error

if TYPE_CHECKING:
    from benchmarks.peers.bench import Row

COLUMNS = (
    "client",
    "load",
    "CPU us/delta",
    "CPU ms/request",
    "start-up CPU s",
    "deltas/s, reached of offered",
    "streams at once",
    "peak RSS MB",
    "processes",
    "TTFT error ms, mean / p99",
    "ITL error ms, mean / p99",
    "cold TTFT error ms, mean / p99",
    "joined by; ITL of",
    "truth late us, p99",
)


def head() -> str:
    """The two lines above the rows."""
    return "| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|"


def line(row: "Row") -> str:
    """One client under one load."""
    cells = [row.client, f"{row.load.streams} @{row.load.interval_ms:g} ms"]
    cells += _figures(row) if row.failed is None else [f"**{row.failed}**", *["-"] * (len(COLUMNS) - 3)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _figures(row: "Row") -> list[str]:
    used, rate, wrong = row.usage, row.rate, row.errors
    assert used and row.idles and rate and wrong
    idle_s = [idle.cpu_s for idle in row.idles]
    cpu_s = net_cpu_s(used.cpu_s, idle_s)
    reached = "-" if rate.reached_per_s is None else f"{rate.reached_per_s:,.0f}"
    return [
        "-" if cpu_s is None else f"{cpu_s * 1e6 / rate.deltas:.1f}",
        "-" if cpu_s is None else f"{cpu_s * 1e3 / rate.requests:.2f}",
        f"{min(idle_s):.1f} to {max(idle_s):.1f}" if max(idle_s) - min(idle_s) >= 0.1 else f"{idle_s[0]:.1f}",
        f"{reached} of {rate.offered_per_s:,.0f}",
        str(rate.streams_at_once),
        f"{used.rss_mb:.0f}",
        str(used.processes),
        _both(wrong.ttft),
        _both(wrong.itl),
        _both(wrong.cold_ttft),
        wrong.joined + (f"; {wrong.gaps}" if wrong.itl else ""),
        f"{row.truth_late_p99_us:g}",
    ]


def net_cpu_s(used_s: float, idle_s: list[float]) -> float | None:
    """CPU of the load alone; None where the start-up varies by more than a quarter of that."""
    net_s = used_s - sum(idle_s) / len(idle_s)
    return net_s if net_s > 0 and max(idle_s) - min(idle_s) <= net_s / 4 else None


def _both(error: Error | None) -> str:
    return "-" if error is None else f"{_ms(error.mean)} / {_ms(error.p99)}"


def _ms(value: float) -> str:
    """Three significant digits, no exponent: errors span microseconds to minutes."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.4f}"
