"""Three real browsers behind one asynchronous interface, for the tests and the benches.

::

    async with Chromium() as browser:
        page = await browser.page("http://127.0.0.1:8080/player.html")
        await page.click("#play")
        await page.wait_for("document.querySelector('video').currentTime > 1")

Every browser has a fake camera and a fake microphone, may play sound without a click, accepts
self-signed certificates, keeps its profile in a temporary directory, and leaves no process behind.
They run as root and as an ordinary user; they need Linux (`/proc`).
"""

from tests.harness.browsers.base import Browser, BrowserMissing, Page, PageError, WaitTimeout
from tests.harness.browsers.chromium import Chromium, ChromiumPage
from tests.harness.browsers.firefox import Firefox, FirefoxPage
from tests.harness.browsers.webkit import WebKit, WebKitPage

BROWSERS: dict[str, type[Browser]] = {"chromium": Chromium, "firefox": Firefox, "webkit": WebKit}

__all__ = [
    "BROWSERS",
    "Browser",
    "BrowserMissing",
    "Chromium",
    "ChromiumPage",
    "Firefox",
    "FirefoxPage",
    "Page",
    "PageError",
    "WaitTimeout",
    "WebKit",
    "WebKitPage",
]
