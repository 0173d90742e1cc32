"""A real browser in the guest: it lists "VBG Camera" and shows the composed picture, and only while its page reads it
is the webcam on."""

from __future__ import annotations

import http.server
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.v4l2.guest.support.daemon import LOADED, idle
from tests.v4l2.guest.support.kernel import until
from tests.v4l2.guest.support.readers import BLUE

PAGE = """<!doctype html><meta charset=utf-8><script>
const tell = text => fetch("/", {method: "POST", body: text}).then(answer => answer.text());
(async () => {
  try {
    const all = (await navigator.mediaDevices.enumerateDevices()).filter(one => one.kind == "videoinput");
    await tell("before " + all.length);
    const first = await navigator.mediaDevices.getUserMedia({video: true});
    first.getTracks().forEach(track => track.stop());
    const named = (await navigator.mediaDevices.enumerateDevices()).find(one => one.label.includes("VBG Camera"));
    await tell("asked");
    const stream = await navigator.mediaDevices.getUserMedia({video: {deviceId: {exact: named.deviceId}}});
    await tell("open " + stream.getVideoTracks()[0].label);
    const video = document.createElement("video"), canvas = document.createElement("canvas");
    video.srcObject = stream; video.muted = true; await video.play();
    const pixel = x => {
      canvas.width = video.videoWidth; canvas.height = video.videoHeight;
      const picture = canvas.getContext("2d", {willReadFrequently: true}); picture.drawImage(video, 0, 0);
      const at = picture.getImageData(video.videoWidth * x, video.videoHeight / 2, 1, 1).data;
      return [at[0], at[1], at[2]].join(",");
    };
    for (let go = "on"; go == "on";)
      go = await new Promise(done => video.requestVideoFrameCallback(async () =>
        done(await tell(`frame ${pixel(0.06)} ${pixel(0.8)}`))));
    stream.getTracks().forEach(track => track.stop());
    await tell("closed");
  } catch (error) { await tell("error " + error); }
})();
</script>"""
CHROMIUM = "/usr/lib/chromium/chromium"


class Page:
    """What the page tells, and whether it is to go on."""

    def __init__(self) -> None:
        self.told: queue.Queue[str] = queue.Queue()
        self.go = threading.Event()
        self.go.set()
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name for it
                pass

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self._answer(PAGE.encode(), "text/html")

            def do_POST(self) -> None:
                page.told.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._answer(b"on" if page.go.is_set() else b"end", "text/plain")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, word: str, seconds: float = 120) -> str:
        """The next that begins so; frames come in between."""
        while True:
            text = self.told.get(timeout=seconds)
            assert not text.startswith("error"), text
            if text.startswith(word):
                return text.removeprefix(word).strip()


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    yield made
    made.server.shutdown()
    made.server.server_close()


@contextmanager
def chromium(url: str, folder: Path) -> Iterator[None]:
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--no-first-run"),
        *("--disable-extensions", "--mute-audio", "--disable-breakpad", f"--user-data-dir={folder / 'profile'}"),
        *("--disable-features=AudioServiceOutOfProcess,Vulkan", url),
    ]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, "HOME": str(folder)}) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.skipif(shutil.which(CHROMIUM) is None, reason="Debian's package chromium is not installed")
def test_the_webcam_is_on_while_a_page_shows_it_and_no_longer(
    camera: Path, network: Path, tmp_path: Path, page: Page
) -> None:
    url = f"http://localhost:{page.server.server_address[1]}/"
    with idle(network) as daemon, chromium(url, tmp_path):
        assert page.says("before") != "0"
        page.says("asked")
        assert page.says("open").startswith("VBG Camera")
        until(daemon.films, "the webcam is on")
        until(lambda: daemon.says("on air"), "on air", LOADED)
        for _ in range(200):
            person, room = ([int(part) for part in text.split(",")] for text in page.says("frame").split())
            assert max(abs(have - want) for have, want in zip(room, BLUE, strict=True)) <= 12, "the room is shown"
            if max(abs(have - want) for have, want in zip(person, BLUE, strict=True)) > 12:
                break
        else:
            pytest.fail("the person is not shown")
        page.go.clear()
        page.says("closed")
        until(lambda: not daemon.films(), "the webcam is off")
