"""A real browser for tests, and a merchant's page for it to open."""

import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = {"width": 360, "height": 740}

Story = Callable[[Page], None]


class BrowserThread:
    """Playwright in a thread of its own: it can run only once in a thread, and others start it in pytest's."""

    def __init__(self) -> None:
        if CHROMIUM is None and not os.environ.get("CI"):
            pytest.skip("no Chromium on this machine; CI runs these")
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._playwright: Playwright = self._thread.submit(sync_playwright().start).result()
        self._browser: Browser = self._thread.submit(
            self._playwright.chromium.launch,
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        ).result()

    def browse(self, story: Story, *, script: bool = False) -> None:
        """Tell the story to a phone's browser; without JavaScript unless asked, as the pages must not need it."""
        self._thread.submit(self._tell, story, script).result()

    def _tell(self, story: Story, script: bool) -> None:
        context = self._browser.new_context(viewport=PHONE, java_script_enabled=script)
        context.set_default_timeout(10_000)
        errors: list[str] = []
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            story(page)
        finally:
            context.close()
        assert errors == []

    def stop(self) -> None:
        self._thread.submit(self._browser.close).result()
        self._thread.submit(self._playwright.stop).result()
        self._thread.shutdown()


class Shop:
    """A merchant's site of its own origin, with one page."""

    def __init__(self, html: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = html.encode()
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> "Shop":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
