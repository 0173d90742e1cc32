"""A call in a real browser: a page that asks for a camera, looks at its picture and tells this process what it saw."""

import http.server
import json
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

BROWSERS: Final = {"chromium": "chromium", "firefox-esr": "firefox-esr"}
"""Commands, and their Debian packages."""

# Each round: the camera is asked for, watched until the pixels of `points` are within 40 of what is `wanted`, counted
# for a while, and given back.
_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>meeting</title>
<video id="v" autoplay playsinline muted></video>
<script>
const plan = PLAN;
const pause = ms => new Promise(done => setTimeout(done, ms));
const near = (a, b) => a.every((x, i) => Math.abs(x - b[i]) <= 40);
const tell = (said) => fetch("/told", {method: "POST", body: JSON.stringify(said)});

function pixels() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [v.videoWidth, v.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(v, 0, 0);
  const at = ([x, y]) => [...context.getImageData(x * v.videoWidth, y * v.videoHeight, 1, 1).data].slice(0, 3);
  return plan.points.map(at);
}

const within = (ms, promise) => Promise.race([promise, pause(ms).then(() => { throw new Error("no picture"); })]);
const next = () => new Promise(done => v.requestVideoFrameCallback(done));

let named = {};
async function wish() {
  if (plan.camera && !named.deviceId) {  // labels are told only to a page that has had a camera
    const any = await navigator.mediaDevices.getUserMedia({video: true});
    any.getTracks().forEach(track => track.stop());
    const devices = await navigator.mediaDevices.enumerateDevices();
    named = {deviceId: {exact: devices.find(device => device.label.includes(plan.camera)).deviceId}};
  }
  return {video: {...named, width: {ideal: 1280}, height: {ideal: 720}}};
}

async function asked(said) {
  const coming = navigator.mediaDevices.getUserMedia(await wish());
  const stream = await within(8000, coming);
  const track = stream.getVideoTracks()[0];
  try {
    said.label = track.label;
    const devices = await navigator.mediaDevices.enumerateDevices();
    said.labels = devices.filter(device => device.kind === "videoinput").map(device => device.label);
    v.srcObject = stream;
    await within(3000, v.play());
    for (let shown = 0; shown < 3; shown += 1) await within(3000, next());  // the first may be an old one
  } catch (error) {
    track.stop();
    v.srcObject = null;
    throw error;
  }
  return track;
}

async function round(seconds) {
  const said = {};
  const began = performance.now();
  const track = await asked(said);
  said.first = performance.now() - began;
  said.size = [v.videoWidth, v.videoHeight];
  do {
    await pause(50);
    said.pixels = pixels();
    said.good = said.pixels.every((seen, i) => near(seen, plan.wanted[i]));
  } while (!said.good && performance.now() - began < 20000);
  said.right = performance.now() - began;
  let frames = 0, counting = true;
  const count = () => { frames += 1; if (counting) v.requestVideoFrameCallback(count); };
  v.requestVideoFrameCallback(count);
  const from = performance.now();
  await pause(1000 * seconds);
  counting = false;
  said.fps = frames / ((performance.now() - from) / 1000);
  track.stop();
  v.srcObject = null;
  return said;
}

(async () => {
  for (let done = 0, lost = 0; done < plan.rounds; ) {
    try {
      await tell({...await round(done ? 0.3 : plan.seconds), lost});
      done += 1;
      lost = 0;
    } catch (error) {
      // Each time a browser asks anew, and WirePlumber 0.4 may link it before it has granted it the camera: then no
      // picture comes, whatever the camera does.
      if (++lost > 12) return tell({error: `${error.name}: ${error.message}`});
    }
    await pause(500);
  }
})();
</script>
"""
_CHROMIUM: Final = (
    "--headless=new",
    "--no-sandbox",  # root may not use it
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",  # the page may use cameras
    "--mute-audio",
)
_CHROMIUM_ON_PIPEWIRE: Final = "--enable-features=WebRtcPipeWireCamera"
_CHROMIUM_ON_V4L2: Final = "--disable-features=AudioServiceOutOfProcess,Vulkan"
_FIREFOX: Final = {
    "media.webrtc.camera.allow-pipewire": True,
    "media.navigator.permission.disabled": True,  # likewise
    "media.autoplay.default": 0,
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.captive-portal-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "services.settings.server": "http://127.0.0.1:9",
}


class Meeting:
    """What the page tells, in its order. `crashes`: how often the browser ended by itself, and was started again:
    Firefox ESR 153 with PipeWire 0.3.65 aborts in its own code about once in five times that it closes a camera and
    soon opens it again, whatever camera it is."""

    def __init__(self, rounds: int) -> None:
        self.crashes = 0
        self.left = rounds
        self._told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def tells(self, said: dict[str, Any]) -> None:
        self.left -= 1
        self._told.put(said)

    def round(self, seconds: float = 90.0) -> dict[str, Any]:
        try:
            said = self._told.get(timeout=seconds)
        except queue.Empty:
            pytest.fail("the page tells nothing")
        assert "error" not in said, said["error"]
        return said


@contextmanager
def meeting(
    browser: str,
    environment: Mapping[str, str],
    points: Sequence[tuple[float, float]],
    wanted: Sequence[tuple[int, int, int]],
    *,
    rounds: int = 1,
    seconds: float = 2.0,
    v4l2: str = "",
) -> Iterator[Meeting]:
    """`points`: places in the picture, 0 to 1 across and down; `wanted`: their colours. `seconds`: how long pictures
    are counted in the first round. `v4l2`: part of a V4L2 camera's name, "" for PipeWire's camera. Skips the test
    where there is no such browser."""
    program = shutil.which(browser)
    if program is None:
        pytest.skip(f"no {browser} here (on Debian: apt install {BROWSERS[browser]})")
    held = Meeting(rounds)

    class Answers(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.path == "/":
                plan = {"points": points, "wanted": wanted, "rounds": held.left, "seconds": seconds, "camera": v4l2}
                self.wfile.write(_PAGE.replace("PLAN", json.dumps(plan)).encode())

        def do_POST(self) -> None:
            held.tells(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

    over = threading.Event()

    def browse() -> None:
        while not over.is_set():
            profile = Path(tempfile.mkdtemp(prefix="vbgbrowser"))
            command = _command(program, profile, f"http://localhost:{server.server_port}/", bool(v4l2))
            own = {**environment, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"}
            process = subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not over.wait(0.1) and process.poll() is None:
                pass
            held.crashes += not over.is_set()
            _end(process)
            shutil.rmtree(profile, ignore_errors=True)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=browse)]
    for thread in threads:
        thread.start()
    try:
        yield held
    finally:
        over.set()
        threads[1].join()
        server.shutdown()
        threads[0].join()
        server.server_close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(program: str, profile: Path, address: str, v4l2: bool) -> list[str]:
    if "firefox" not in program:
        cameras = _CHROMIUM_ON_V4L2 if v4l2 else _CHROMIUM_ON_PIPEWIRE
        return [program, *_CHROMIUM, cameras, f"--user-data-dir={profile}", address]
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _FIREFOX.items()]
    (profile / "user.js").write_text("".join(lines))
    return [program, "--headless", "--no-remote", "--profile", str(profile), address]
