"""A headless Chromium that is driven over a pipe by its own protocol: pages as people see them, with no dependency."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from fcntl import F_DUPFD_CLOEXEC, fcntl
from select import select

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 60.0
_AT_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def found_browser():
    """Return the path of a Chromium, or ``None``."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """A tab; `events` are what it has said so far, each a method and its parameters."""

    def __init__(self, pipe, session):
        self._pipe, self._session = pipe, session

    @property
    def events(self):
        return [
            (each["method"], each["params"]) for each in self._pipe.events if each.get("sessionId") == self._session
        ]

    def send(self, method, **parameters):
        return self._pipe.send(method, parameters, self._session)

    def open(self, url, *, width, height=900, dark=False, media="screen"):
        """Load a page, and wait until it has been loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.send("Page.navigate", url=url)
        self._pipe.until(lambda: any(method == "Page.loadEventFired" for method, _ in self.events))
        return self

    def evaluate(self, expression):
        """Return the value of an expression, or of what it promises."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"])[:2_000])
        return answer["result"].get("value")

    def screenshot(self, path):
        """Write a picture of the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def printed(self, path):
        """Write the page as it is printed."""
        self.send("Emulation.setEmulatedMedia", media="print", features=[])
        path.write_bytes(base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"]))

    def said(self):
        """Return what the console holds: errors, warnings and messages."""
        wanted = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        return [parameters for method, parameters in self.events if method in wanted]

    def requested(self):
        """Return the URLs that the page has asked for."""
        return [each["request"]["url"] for method, each in self.events if method == "Network.requestWillBeSent"]


class _Pipe:
    def __init__(self, reading, writing):
        self._reading, self._writing = reading, writing
        self._rest, self._last, self._answers, self.events = b"", 0, {}, []

    def send(self, method, parameters=None, session=None):
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._writing, data) :]
        wanted = self._last
        self.until(lambda: wanted in self._answers)
        answer = self._answers.pop(wanted)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def until(self, done):
        end = time.monotonic() + _SECONDS
        while not done():
            left = end - time.monotonic()
            assert left > 0, "the browser does not answer"
            if select([self._reading], [], [], left)[0]:
                self._read()

    def _read(self):
        read = os.read(self._reading, 1 << 20)
        assert read, "the browser has ended"
        *messages, self._rest = (self._rest + read).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)


def _high(*descriptors):
    """Return copies of file descriptors above those that the browser wants to have."""
    copies = [fcntl(each, F_DUPFD_CLOEXEC, 20) for each in descriptors]
    for each in descriptors:
        os.close(each)
    return copies


@contextmanager
def browsing(profile):
    """Yield a function that opens tabs of a browser, whose profile is in a folder."""
    theirs, writing = _high(*os.pipe())
    reading, ours = _high(*os.pipe())
    program = [
        found_browser(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        "--remote-debugging-pipe",
        "about:blank",
    ]
    command = [sys.executable, "-c", _AT_3_AND_4, str(theirs), str(ours), *program]
    process = subprocess.Popen(
        command, pass_fds=(theirs, ours), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(theirs)
    os.close(ours)
    pipe = _Pipe(reading, writing)

    def opened():
        target = pipe.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        return Page(pipe, pipe.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])

    try:
        yield opened
        pipe.send("Browser.close")
        process.wait(20)
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)
