"""extend_web_ui: a tab of live figures, /metrics and the finished reports in Locust's own web UI; and its guard."""

import logging
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, request, send_file
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from harness.errors import TrueyieldError
from harness.report.prometheus import CONTENT_TYPE, metrics_page
from loadtests.desk import Desk
from loadtests.guard import LOOPBACK, foreign

log = logging.getLogger(__name__)

TAB = "trueyield"
#: No other site may show our buttons in a frame.
_POLICY = "frame-ancestors 'self'"


def extend_web_ui(environment: Any, web_ui: Any, desk: Desk) -> None:
    """Wire tab, routes and guard before the server accepts."""
    web_ui.template_args["extended_tabs"] = [{"title": "trueyield", "key": TAB}]
    web_ui.template_args["extended_tables"] = [
        {"key": TAB, "structure": [{"key": "name", "title": "Figure"}, {"key": "value", "title": "Value"}]}
    ]
    web_ui.template_args["extended_csv_files"] = [{"href": "./trueyield/report", "title": "Last trueyield report"}]
    base = environment.parsed_options.web_base_path or ""
    web_ui.app.register_blueprint(_routes(web_ui, desk), url_prefix=base or None)
    _guard(environment, web_ui, desk, base)
    _fill_table(environment, web_ui, desk)
    if web_ui.host not in LOOPBACK and not web_ui.web_login:
        log.warning("the web UI listens on %s without a login: others can start load from here", web_ui.host or "*")


def rows(desk: Desk, users: int) -> list[dict[str, str]]:
    """The tab's table."""
    run = desk.run
    if run is None:
        return [{"name": "run", "value": "none yet"}]
    figures = desk.figures()
    cells = {
        "run": run.plan.run_id,
        "endpoint": f"{run.plan.endpoint.name}  ({run.plan.endpoint.model})",
        "users": str(users),
        "in flight": str(run.in_flight),
        "ok / failed / censored": f"{figures.ok} / {figures.failed} / {figures.censored}",
        "TTFT p50 (last calls)": _seconds(figures.ttft_p50_s),
        "TTFAT p50 (last calls)": _seconds(figures.ttfat_p50_s),
        "output tokens/s (last 15 s)": _count(figures.output_tokens_per_s),
        "output tokens": _count(figures.output_tokens),
        "spend, buyer's price": "no price card" if figures.usd is None else f"${figures.usd:.4f}",
        "report": _report_state(desk),
    }
    return [{"name": name, "value": value} for name, value in cells.items()]


def _routes(web_ui: Any, desk: Desk) -> Blueprint:
    pages = Blueprint("trueyield", __name__)

    @pages.route("/metrics")
    @web_ui.auth_required_if_enabled
    def metrics() -> Response:
        return Response(metrics_page(desk.run.live if desk.run else None), content_type=CONTENT_TYPE)

    @pages.route("/trueyield/report")
    @web_ui.auth_required_if_enabled
    def last_report() -> Any:
        folder = desk.last_report()
        if folder is None:
            return Response(f"no report yet: {_report_state(desk)}\n", 404, content_type="text/plain")
        return redirect(f"./reports/{folder.name}/report.html")

    @pages.route("/trueyield/reports/<run_id>/report.html")
    @web_ui.auth_required_if_enabled
    def report(run_id: str) -> Any:
        folder: Path | None = desk.folders.get(run_id)  # only runs that this process made
        if folder is None or not (folder / "report.html").is_file():
            abort(404)
        return send_file(folder / "report.html")

    return pages


def _guard(environment: Any, web_ui: Any, desk: Desk, base: str) -> None:
    """Before any POST: is it from our own page? Before a start: is what it asks for allowed, and does it work?"""
    trusted = {host.lower() for host in desk.start.values["trusted_host"]}

    def check() -> Any:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return None
        if reason := foreign(request.headers.get("Host", ""), request.headers.get("Origin"), web_ui.host, trusted):
            return Response(f"refused: {reason}\n", 403, content_type="text/plain")
        idle = environment.runner.state not in (STATE_RUNNING, STATE_SPAWNING)
        if request.path == f"{base}/swarm":
            try:
                if idle:
                    desk.prepare(request.form, getattr(environment.runner, "worker_count", 1))
                else:
                    desk.start.order(request.form)
            except TrueyieldError as error:
                return jsonify({"success": False, "message": str(error), "host": environment.host})
        return None

    def harden(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        return response

    web_ui.app.before_request(check)
    web_ui.app.after_request(harden)


def _fill_table(environment: Any, web_ui: Any, desk: Desk) -> None:
    def add_rows(response: Response) -> Response:
        if request.endpoint == "locust.request_stats" and response.is_json:
            content = response.get_json()
            content["extended_stats"] = [{"key": TAB, "data": rows(desk, environment.runner.user_count)}]
            response.set_data(jsonify(content).get_data())
        return response

    web_ui.app.after_request(add_rows)


def _report_state(desk: Desk) -> str:
    run = desk.run
    if run is None or not run.closed.is_set():
        return "after the run"
    if run.report is None or not run.report.ready():
        return "being written"
    return f"trueyield/reports/{run.plan.run_id}/report.html" if desk.last_report() else "failed, see the terminal"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
