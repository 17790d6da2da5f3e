"""report.html in a real browser, from the disk, without a network: it opens, it is whole, it is quiet."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def _pages(folder: Path) -> list[Path]:
    return [folder / "report.html", *sorted(folder.glob("*/report.html"))[:1]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_reports_open_offline_and_make_no_noise(chromium: Browser, sweep_folder: Path, scheme: str, width: int) -> None:
    context = chromium.new_context(
        offline=True, viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    for path in _pages(sweep_folder):
        page, noise = context.new_page(), []
        page.on("console", lambda said, noise=noise: noise.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error, noise=noise: noise.append(str(error)))
        page.on("request", lambda r, noise=noise: None if _local(r.url) else noise.append(r.url))
        page.goto(path.as_uri())
        page.wait_for_timeout(500)
        assert noise == []
        assert page.locator(".js-plotly-plot svg.main-svg").count() > 0, f"no chart was drawn in {path}"
        assert _scrolls_sideways(page) is False, f"{path.name} is wider than a {width} px window"
        page.close()
    context.close()


def test_the_first_screen_says_the_money(chromium: Browser, sweep_folder: Path) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(_pages(sweep_folder)[1].as_uri())
    first = page.evaluate(
        """() => [...document.querySelectorAll('header, section, main > *')]
            .filter(e => e.getBoundingClientRect().top < 600).map(e => e.innerText).join(' ')"""
    )
    for words in ("1,000 useful", "$", "VALID"):
        assert words.lower() in first.lower()
    page.close()


def _local(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:", "about:"))


def _scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth + 1"))
