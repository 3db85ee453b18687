"""The site as a reader meets it: built as for the reader, and looked at in Chromium.

`pytest -m browser` runs this; it needs Debian's packages chromium and chromium-driver.
"""

import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.pages import ROOT

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
LOOK = """
const done = arguments[arguments.length - 1];
document.querySelectorAll("details").forEach(details => details.open = true);
const images = [...document.querySelectorAll("article img")];
Promise.allSettled(images.map(image => image.decode())).then(() => done({
    width: document.scrollingElement.scrollWidth,
    missing: images.filter(image => !image.naturalWidth).map(image => image.src),
    wide: images.filter(image => image.getBoundingClientRect().right > innerWidth).length,
    formulas: [...document.querySelectorAll("math")].map(formula => {
        const box = formula.getBoundingClientRect();
        return [box.width, box.height];
    }),
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
}));
"""
# The contrast of two colours as WCAG 2 has it, of every text in the page and what is behind it.
CONTRASTS = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const known = {};
const rgba = colour => known[colour] ??= read(colour);
const read = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
};
const over = ([r, g, b, a], back) => [r, g, b].map((x, i) => x * a + back[i] * (1 - a));
const backs = new Map([[null, [255, 255, 255]]]);
const behind = element => {
    if (!backs.has(element)) {
        const own = rgba(getComputedStyle(element).backgroundColor);
        backs.set(element, over(own, behind(element.parentElement)));
    }
    return backs.get(element);
};
const light = colour => colour.map(x => x / 255).map(
    x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4
).reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
const lowest = {};
const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.closest(".headerlink, .copybtn, script, style")) continue;
    const back = behind(element);
    const [a, b] = [light(over(rgba(getComputedStyle(element).color), back)), light(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const kind = element.closest("pre, table, code")?.tagName ?? "text";
    if (!(lowest[kind]?.[0] < contrast))
        lowest[kind] = [contrast, text.slice(0, 40)];
}
return lowest;
"""


class Links(HTMLParser):
    """What a page refers to: links, and what a browser loads by itself; and its anchors."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors |= {named[name] for name in ("id", "name") if name in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        elif tag == "link" and "href" in named:
            self.loaded.append(named["href"])
        elif "src" in named:
            self.loaded.append(named["src"])


@dataclass
class Site:
    """The folder with the site's files, and the address where a server gives them out."""

    folder: Path
    address: str

    def pages(self) -> list[str]:
        return sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.html"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-M", "html", str(ROOT / "docs"), str(folder)]
    run = subprocess.run([*command, "-W", "--keep-going", "-q"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder / "html"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder / "html", f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    for argument in ("disable-background-networking", "disable-component-update"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")  # take the driver that is there, and fetch nothing
        driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    permissions = {"origin": site.address, "permissions": ["clipboardReadWrite"]}
    driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def seen(site: Site, browser: webdriver.Chrome) -> dict[str, dict[str, Any]]:
    """Open every page on a narrow screen, and note what is there."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    log: Any = browser.get_log
    found = {}
    for page in site.pages():
        browser.get(site.address + page)
        found[page] = browser.execute_async_script(LOOK)
        for theme in ("light", "dark"):
            browser.execute_script(f"document.body.dataset.theme = '{theme}'")
            found[page][theme] = browser.execute_script(CONTRASTS)
        found[page]["errors"] = [entry["message"] for entry in log("browser")]
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    return found


def test_the_site_has_the_pages_of_docs_and_the_source(site: Site) -> None:
    written = {p.relative_to(ROOT / "docs") for p in (ROOT / "docs").rglob("*.md")}
    source = {
        Path("source", f"{p.relative_to(ROOT)}.html") for p in ROOT.glob("micrograd_np/**/*.py")
    }
    expected = {page.with_suffix(".html") for page in written} | source
    assert expected <= set(map(Path, site.pages()))


def test_no_link_is_broken(site: Site) -> None:
    pages = {page: Links(site.folder / page) for page in site.pages()}
    broken = []
    for page, found in pages.items():
        for target in [*found.links, *found.loaded]:
            parts = urlsplit(urljoin(page, target))
            if parts.scheme or parts.netloc:
                continue
            path, anchor = unquote(parts.path) or page, unquote(parts.fragment)
            lacks_anchor = anchor and path in pages and anchor not in pages[path].anchors
            if lacks_anchor or not (site.folder / path).is_file():
                broken.append((page, target))
    assert broken == []
    methods = {link for link in pages["reference/ops.html"].links if "#micrograd_np.T" in link}
    assert "tensor.html#micrograd_np.Tensor.avg_pool2d" in methods
    assert "../source/micrograd_np/ops/elementwise.py.html#line-" in "".join(
        pages["reference/tensor.html"].links
    )


def test_nothing_is_loaded_from_another_host(site: Site, seen: dict[str, dict[str, Any]]) -> None:
    for page, facts in seen.items():
        loaded = [target for target in Links(site.folder / page).loaded if urlsplit(target).netloc]
        loaded += [url for url in facts["requests"] if not url.startswith(site.address)]
        assert loaded == [], page
    for style in site.folder.rglob("*.css"):
        assert "url(http" not in style.read_text().replace('"', "").replace("'", ""), style
        assert "@import" not in style.read_text(), style


def test_no_page_has_errors_or_lacks_a_picture(seen: dict[str, dict[str, Any]]) -> None:
    assert {page: facts["errors"] for page, facts in seen.items() if facts["errors"]} == {}
    assert {page: facts["missing"] for page, facts in seen.items() if facts["missing"]} == {}


def test_pages_and_pictures_fit_a_narrow_screen(seen: dict[str, dict[str, Any]]) -> None:
    assert {page: facts["width"] for page, facts in seen.items() if facts["width"] > 390} == {}
    assert [page for page, facts in seen.items() if facts["wide"]] == []


def test_formulas_are_drawn(seen: dict[str, dict[str, Any]]) -> None:
    formulas = [(page, size) for page, facts in seen.items() for size in facts["formulas"]]
    assert [(page, size) for page, size in formulas if min(size) <= 0] == []
    assert {"tutorials/one-neuron.html", "reference/layers.html"} <= {page for page, _ in formulas}


@pytest.mark.parametrize(
    ("words", "page"),
    [("Linear", "reference/layers.html"), ("error-weighted", "tutorials/one-neuron.html")],
)
def test_search_finds(site: Site, browser: webdriver.Chrome, words: str, page: str) -> None:
    browser.get(f"{site.address}search.html?q={words}")
    results = f'#search-results a[href*="{page}"]'
    WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, results))


@pytest.mark.parametrize(
    ("page", "start", "end"),
    [
        ("index.html", "import numpy as np\nimport micrograd_np as mg\n", ':.5f}")'),
        ("reference/tensor.html", "import micrograd_np as mg\nx = mg.Tensor([[1.0", "x.grad"),
    ],
)
def test_code_can_be_copied(
    site: Site, browser: webdriver.Chrome, page: str, start: str, end: str
) -> None:
    browser.get(site.address + page)
    block = browser.find_element(By.CSS_SELECTOR, ".highlight-python, .doctest, .highlight-pycon")
    shown = block.find_element(By.TAG_NAME, "pre").text.strip()
    button = block.find_element(By.CLASS_NAME, "copybtn")
    ActionChains(browser).move_to_element(block).click(button).perform()
    WebDriverWait(browser, 20).until(lambda _: "success" in str(button.get_attribute("class")))
    read = "navigator.clipboard.readText().then(arguments[0])"
    copied = str(browser.execute_async_script(read)).strip()
    prompts = [line[4:] for line in shown.splitlines() if line.startswith((">>> ", "... "))]
    assert copied == ("\n".join(prompts) or shown)
    assert copied.startswith(start)
    assert copied.endswith(end)


def test_text_stands_out_in_both_modes(seen: dict[str, dict[str, Any]]) -> None:
    for theme in ("light", "dark"):
        contrasts = [
            (page, kind, *found)
            for page, facts in seen.items()
            for kind, found in facts[theme].items()
        ]
        assert [contrast for contrast in contrasts if contrast[2] < 4.5] == []
        assert {kind for _, kind, *_ in contrasts} == {"text", "PRE", "TABLE", "CODE"}


def test_pictures_turn_dark_with_the_page(site: Site, browser: webdriver.Chrome) -> None:
    browser.get(site.address + "index.html")
    picture = browser.find_element(By.CSS_SELECTOR, "article img")
    filters = []
    for theme in ("light", "dark"):
        browser.execute_script(f"document.body.dataset.theme = '{theme}'")
        filters.append(picture.value_of_css_property("filter"))
    assert filters == ["none", "invert(0.925) hue-rotate(180deg)"]
