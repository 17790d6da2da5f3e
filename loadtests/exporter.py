"""serve_metrics: /metrics of the running test on 127.0.0.1, for headless runs that ask for it with --metrics-port."""

from collections.abc import Callable, Iterable
from typing import Any

from gevent.pywsgi import WSGIServer

from harness.report.prometheus import CONTENT_TYPE, metrics_page
from loadtests.desk import Desk


def serve_metrics(desk: Desk) -> None:
    """Start the exporter where a port was given; it ends with the process."""
    port = desk.start.values["metrics_port"]
    if not port:
        return

    def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"see /metrics\n"]
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [metrics_page(desk.run.live if desk.run else None)]

    WSGIServer(("127.0.0.1", port), page, log=None).start()
