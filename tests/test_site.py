"""The site as `make site` left it in build/site, in a headless Chromium: every page, picture and link of it."""

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest

pytestmark = pytest.mark.slow

SITE = Path(__file__).resolve().parent.parent / "build" / "site"
CHROMIUM = shutil.which("chromium")

FACTS = """() => ({
    links: [...document.querySelectorAll("a[href]")].map(link => link.href),
    anchors: [...document.querySelectorAll("[id]")].map(element => element.id),
    broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src),
})"""
WIDTH = "() => document.scrollingElement.scrollWidth"


@pytest.fixture(scope="module")
def pages():
    """path -> what a page has: links, anchors, pictures that are broken, its width on a phone, and problems met."""
    missing = [
        text
        for there, text in (
            (CHROMIUM, "Chromium (Debian's package `chromium`)"),
            ((SITE / "index.html").exists(), "build/site/index.html (`make site`)"),
        )
        if not there
    ]
    if missing:
        # continuous integration says that it has both
        report = pytest.fail if os.environ.get("XQA_SITE") == "required" else pytest.skip
        report(f"expected {' and '.join(missing)}, found none")
    sync_api = pytest.importorskip("playwright.sync_api")
    seen = {}
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        problems = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(f"{request.url}: {request.failure}"))
        page.on("request", lambda request: None if local(request.url) else problems.append(f"asked for {request.url}"))
        # what is in _static is no page of the site, but a part of the theme
        for path in sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts):
            page.set_viewport_size({"width": 1280, "height": 900})
            page.goto(path.as_uri())
            facts = page.evaluate(FACTS)
            page.set_viewport_size({"width": 390, "height": 844})
            seen[path] = {**facts, "phone": page.evaluate(WIDTH), "problems": problems[:]}
            problems.clear()
        browser.close()
    return seen


def local(address):
    return urlparse(address).scheme in ("file", "data", "blob")


def of_pages(pages, found):
    """path below the site -> what a function finds on the page, of pages where it finds something."""
    found = {path.relative_to(SITE).as_posix(): found(facts) for path, facts in pages.items()}
    return {path: what for path, what in found.items() if what}


def test_the_site_has_reports_notebooks_guides_and_modules(pages):
    names = {path.relative_to(SITE).as_posix() for path in pages}
    assert {"index.html", "reports/README.html", "reports/xquad/README.html", "docs/api/xqa_lib.losses.html"} <= names
    root = SITE.parents[1]
    sources = [*root.glob("docs/*.md"), *root.glob("notebooks/*.ipynb"), *root.glob("reports/**/*.ipynb")]
    assert len(sources) > 20
    assert {path.relative_to(root).with_suffix(".html").as_posix() for path in sources} <= names


def test_pages_load_without_an_error_and_ask_no_other_host(pages):
    assert of_pages(pages, lambda facts: facts["problems"]) == {}


def test_every_picture_is_drawn(pages):
    assert of_pages(pages, lambda facts: facts["broken"]) == {}


def test_every_link_leads_to_a_file_and_a_place_in_it(pages):
    def lost(address):
        address, anchor = urldefrag(address)
        path = Path(unquote(urlparse(address).path))
        if not path.is_file():
            return True
        # "#": the top; what an anchor of another file than a page means is the file's
        return bool(anchor) and path in pages and unquote(anchor) not in pages[path]["anchors"]

    links = [link for facts in pages.values() for link in facts["links"]]
    assert len(links) > 1000
    assert of_pages(pages, lambda facts: sorted({link for link in facts["links"] if local(link) and lost(link)})) == {}


def test_no_page_is_wider_than_a_phone(pages):
    assert of_pages(pages, lambda facts: facts["phone"] if facts["phone"] > 390 else None) == {}
