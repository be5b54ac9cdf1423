"""A headless Chromium, driven by chromedriver over the W3C WebDriver protocol."""

import base64
import contextlib
import json
import os
import signal
import urllib.error
import urllib.request
from typing import Any, Dict, List, Optional, Tuple

from servers.process import Server, find_program, free_port, lend, private_folder

ANSWER_SECONDS = 180.0
TRIES = 3
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to an element
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]


class BrowserError(Exception):
    """What the browser answers to a command that it can't do."""


class Browser(Server):
    """One browser window. What pages write to the console, and requests that fail, are kept: `complaints`."""

    runs_as = "nobody"

    def __init__(self, scripts: bool = True) -> None:
        self._driver = find_program(["chromedriver"], "chromium-driver")
        self._chromium = find_program(["chromium", "chromium-browser", "google-chrome"], "chromium")
        super().__init__(private_folder("browser"))
        self.port = free_port()
        self.log_file = os.path.join(self.folder, "log")
        self._scripts = scripts
        self._session = ""
        lend(self.folder, self.runs_as)

    def command(self) -> List[str]:
        return ["env", "HOME=" + self.folder, "TMPDIR=" + self.folder, self._driver, "--port=%d" % self.port]

    def ready(self) -> bool:
        try:
            return bool(self._call("GET", "/status")["ready"])
        except OSError:
            return False

    def start(self) -> None:
        super().start()
        arguments = [*ARGUMENTS, "--user-data-dir=%s/profile" % self.folder]
        options: Dict[str, Any] = {"binary": self._chromium, "args": arguments}
        if not self._scripts:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = "/session/" + self._new_session(wanted)

    def _new_session(self, wanted: Dict[str, Any]) -> str:
        """Start the browser itself: on a busy machine it may end before the driver has reached it."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(BrowserError):
                return self._session_id(wanted)
        return self._session_id(wanted)

    def _session_id(self, wanted: Dict[str, Any]) -> str:
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        return str(made["sessionId"])

    def kill(self) -> None:
        """End the browser's processes, which are the driver's children, with it."""
        group = self.pid
        if self._session:
            with contextlib.suppress(OSError, BrowserError):
                self._call("DELETE", self._session)
        super().kill()
        if group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _call(self, method: str, path: str, body: Optional[Dict[str, Any]] = None) -> Any:
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), data, method=method)
        request.add_header("Content-Type", "application/json; charset=utf-8")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return json.loads(answer.read().decode())["value"]
        except urllib.error.HTTPError as err:
            with err:
                raise BrowserError(err.read().decode("utf-8", "replace")) from err

    def open(self, url: str) -> None:
        """Load a page, with all that belongs to it."""
        self._call("POST", self._session + "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script, the body of a function, returns in the page."""
        return self._call(
            "POST", self._session + "/execute/sync", {"script": script, "args": list(arguments)}
        )

    def find(self, selector: str) -> str:
        """A reference to the first element. Raises BrowserError if there is none."""
        return str(
            self._call("POST", self._session + "/element", {"using": "css selector", "value": selector})[
                ELEMENT
            ]
        )

    def click(self, selector: str) -> None:
        """Click into an element, as a person would: it must be in sight."""
        self._call("POST", "%s/element/%s/click" % (self._session, self.find(selector)))

    def type(self, selector: str, text: str) -> None:
        """Empty a field, then press keys in it."""
        element = "%s/element/%s" % (self._session, self.find(selector))
        self._call("POST", element + "/clear")
        self._call("POST", element + "/value", {"text": text})

    def title(self) -> str:
        """The title of the page."""
        return str(self._call("GET", self._session + "/title"))

    def complaints(self) -> List[str]:
        """What the console has been told since the last call."""
        return [one["message"] for one in self._call("POST", self._session + "/se/log", {"type": "browser"})]

    def screenshot(self, path: str, size: Tuple[int, int] = (1240, 900)) -> None:
        """A picture of the window, in PNG."""
        self._call("POST", self._session + "/window/rect", {"width": size[0], "height": size[1]})
        with open(path, "wb") as stream:
            stream.write(base64.b64decode(self._call("GET", self._session + "/screenshot")))
