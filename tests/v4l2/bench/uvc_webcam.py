"""A USB webcam in software: a UVC device (MJPG and YUYV, 640x480 and 1280x720, 30 and 15 fps, one bulk endpoint) on
dummy_hcd through raw-gadget, so that the guest's own uvcvideo driver binds it.

In the guest:  modprobe -a uvcvideo dummy_hcd raw_gadget
               python uvc_webcam.py [NAME] &

Ending the process is pulling the plug. The picture is black with an orange bar that goes right, LOOP places a round,
and the number of its place.

Layouts are those of the USB Video Class 1.1 specification and of <linux/usb/raw_gadget.h>.
"""

import ctypes
import fcntl
import os
import struct
import sys
import threading
import time
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIZES: Final = ((640, 480), (1280, 720))
INTERVALS: Final = (333333, 666666)  # units of 100 ns: 30 and 15 fps
MJPG, YUYV = 1, 2  # numbers of the formats, as the descriptors list them
LOOP: Final = 30
PAYLOAD: Final = 4096  # raw-gadget's largest transfer


def picture(size: tuple[int, int], number: int) -> NDArray[np.uint8]:
    """Place `number` of the loop, BGR."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[:, number * width // LOOP :][:, : width // 8] = (40, 180, 240)
    cv2.putText(image, str(number), (20, height - 30), cv2.FONT_HERSHEY_SIMPLEX, 3, (255, 255, 255), 5)
    return image


# Descriptors: what the device says of itself.


def _descriptor(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 2, kind]) + body


_CLASS_SPECIFIC = 0x24


def _frames(subtype: int) -> bytes:
    frames = b""
    for index, (width, height) in enumerate(SIZES, 1):
        raw = width * height * 2
        frames += _descriptor(
            _CLASS_SPECIFIC,
            struct.pack("<BBBHH", subtype, index, 0, width, height)
            + struct.pack("<IIIIB", raw * 8 * 15, raw * 8 * 30, raw, INTERVALS[0], len(INTERVALS))
            + struct.pack(f"<{len(INTERVALS)}I", *INTERVALS),
        )
    return frames


def _configuration() -> bytes:
    yuy2 = b"YUY2\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    colour = _descriptor(_CLASS_SPECIFIC, bytes([0x0D, 1, 1, 4]))
    formats = (
        _descriptor(_CLASS_SPECIFIC, struct.pack("<9B", 6, MJPG, len(SIZES), 1, 1, 0, 0, 0, 0))
        + _frames(7)
        + colour
        + _descriptor(_CLASS_SPECIFIC, struct.pack("<BBB16s6B", 4, YUYV, len(SIZES), yuy2, 16, 1, 0, 0, 0, 0))
        + _frames(5)
        + colour
    )
    terminals = _descriptor(
        _CLASS_SPECIFIC, struct.pack("<BBHBBHHHB3s", 2, 1, 0x0201, 0, 0, 0, 0, 0, 3, bytes(3))
    ) + _descriptor(_CLASS_SPECIFIC, struct.pack("<BBHBBB", 3, 2, 0x0101, 0, 1, 0))
    control = (
        _descriptor(_CLASS_SPECIFIC, struct.pack("<BHHIBB", 1, 0x0110, 13 + len(terminals), 48_000_000, 1, 1))
        + terminals
    )
    header = _descriptor(
        _CLASS_SPECIFIC, struct.pack("<BBHBBBBBBB2s", 1, 2, 15 + len(formats), 0x81, 0, 2, 0, 0, 0, 1, bytes(2))
    )
    body = (
        _descriptor(0x0B, bytes([0, 2, 0x0E, 3, 0, 0]))  # both interfaces belong to one video function
        + _descriptor(4, bytes([0, 0, 0, 0x0E, 1, 0, 0]))
        + control
        + _descriptor(4, bytes([1, 0, 1, 0x0E, 2, 0, 0]))
        + header
        + formats
        + _ENDPOINT
    )
    return _descriptor(2, struct.pack("<HBBBBB", 9 + len(body), 2, 1, 0, 0x80, 250)) + body


_ENDPOINT: Final = _descriptor(5, struct.pack("<BBHB", 0x81, 2, 512, 0))
_DEVICE: Final = _descriptor(
    1, struct.pack("<HBBBBHHHBBBB", 0x0200, 0xEF, 2, 1, 64, 0x0525, 0xA4B5, 0x0100, 1, 2, 0, 1)
)
_QUALIFIER: Final = _descriptor(6, struct.pack("<HBBBBBB", 0x0200, 0xEF, 2, 1, 64, 1, 0))


def _strings(name: str) -> list[bytes]:
    return [_descriptor(3, struct.pack("<H", 0x0409))] + [
        _descriptor(3, text.encode("utf-16-le")) for text in ("Bench", name)
    ]


# The two negotiations of UVC: the host asks (probe), the device answers with what it can do, the host commits to it.


def _settle(asked: bytes) -> bytes:
    """The offer nearest to what the host asked for."""
    hint, form, frame, interval = struct.unpack_from("<HBBI", asked)
    form, frame = min(max(form, MJPG), YUYV), min(max(frame, 1), len(SIZES))
    return _offer(hint, form, frame, interval if interval in INTERVALS else INTERVALS[0])


def _offer(hint: int, form: int, frame: int, interval: int) -> bytes:
    width, height = SIZES[frame - 1]
    times = (0, 0, 0, 0, 0)
    return struct.pack(
        "<HBBI5HIIIBBBB", hint, form, frame, interval, *times, width * height * 2, PAYLOAD, 48_000_000, 0, 0, 0, 0
    )


def _ioctl(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("U") << 8 | number


_INIT, _RUN, _FETCH = _ioctl(1, 0, 257), _ioctl(0, 1, 0), _ioctl(2, 2, 8)
_EP0_WRITE, _EP0_READ, _EP_ENABLE, _EP_WRITE = _ioctl(1, 3, 8), _ioctl(3, 4, 8), _ioctl(1, 5, 9), _ioctl(1, 7, 8)
_CONFIGURE, _VBUS, _STALL = _ioctl(0, 9, 0), _ioctl(1, 10, 4), _ioctl(0, 12, 0)
_CONTROL_EVENT = 2
_HIGH_SPEED = 3


class Webcam:
    """The device on its (software) bus, until the process ends."""

    def __init__(self, name: str) -> None:
        self._strings = _strings(name)
        self._configuration = _configuration()
        self._probe = _offer(1, MJPG, 1, INTERVALS[0])
        self._committed = self._probe
        self._running = threading.Event()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = os.open("/dev/raw-gadget", os.O_RDWR)
        udc = b"dummy_udc".ljust(128, b"\0") + b"dummy_udc.0".ljust(128, b"\0")
        fcntl.ioctl(self._fd, _INIT, udc + bytes([_HIGH_SPEED]))
        fcntl.ioctl(self._fd, _RUN)

    def serve(self) -> None:
        """Answers the host's control requests for ever."""
        while True:
            event = bytearray(struct.pack("<II", 0, 8) + bytes(8))
            fcntl.ioctl(self._fd, _FETCH, event, True)
            if struct.unpack_from("<I", event)[0] != _CONTROL_EVENT:
                continue
            if not self._answer(*struct.unpack_from("<BBHHH", event, 8)):
                fcntl.ioctl(self._fd, _STALL)

    def _answer(self, kind: int, request: int, value: int, index: int, length: int) -> bool:
        """Whether the request is one that this device knows."""
        match kind, request:
            case 0x80, 6:  # GET_DESCRIPTOR
                descriptor = self._descriptor(value >> 8, value & 255)
                if descriptor is None:
                    return False
                self._reply(descriptor, length)
            case 0, 9:  # SET_CONFIGURATION
                endpoint = int(fcntl.ioctl(self._fd, _EP_ENABLE, bytearray(_ENDPOINT + bytes(2)), True))
                fcntl.ioctl(self._fd, _VBUS, struct.pack("I", 250))
                fcntl.ioctl(self._fd, _CONFIGURE)
                self._receive(0)
                threading.Thread(target=self._stream, args=(endpoint,), daemon=True).start()
            case 1, 11:  # SET_INTERFACE
                self._receive(0)
            case 0x21, 1:  # SET_CUR
                self._probe = _settle(self._receive(length))
                if value >> 8 == 2:
                    self._committed = self._probe
                    self._running.set()
            case 0xA1, 0x85:  # GET_LEN
                self._reply(struct.pack("<H", len(self._probe)), length)
            case 0xA1, 0x86:  # GET_INFO: may be read and set
                self._reply(b"\x03", length)
            case 0xA1, _ if index & 255 == 1:  # GET_CUR, _MIN, _MAX, _DEF
                self._reply(self._probe, length)
            case _:
                return False
        return True

    def _descriptor(self, kind: int, number: int) -> bytes | None:
        if kind == 3:
            return self._strings[number] if number < len(self._strings) else None
        return {1: _DEVICE, 2: self._configuration, 6: _QUALIFIER}.get(kind)

    def _reply(self, data: bytes, length: int) -> None:
        data = data[:length]
        fcntl.ioctl(self._fd, _EP0_WRITE, bytearray(struct.pack("<HHI", 0, 0, len(data)) + data), True)

    def _receive(self, length: int) -> bytes:
        buffer = bytearray(struct.pack("<HHI", 0, 0, length) + bytes(length))
        fcntl.ioctl(self._fd, _EP0_READ, buffer, True)
        return bytes(buffer[8:])

    def _stream(self, endpoint: int) -> None:
        """Sends frames for ever; the endpoint blocks while the host reads nothing."""
        prepared: dict[tuple[tuple[int, int], int, int], tuple[list[bytes], list[bytes]]] = {}
        number, due = 0, time.monotonic()
        while True:
            self._running.wait()
            _, form, frame, interval = struct.unpack_from("<HBBI", self._committed)
            key = (SIZES[frame - 1], form, number % LOOP)
            if key not in prepared:
                prepared[key] = _payloads(*key)
            for part in prepared[key][number % 2]:
                # Not fcntl.ioctl: with a buffer this large it keeps the interpreter's lock while it waits.
                if self._libc.ioctl(self._fd, ctypes.c_ulong(_EP_WRITE), struct.pack("<H", endpoint) + part[2:]) < 0:
                    raise OSError(ctypes.get_errno(), "writing to the endpoint")
            number += 1
            due = max(due + interval / 1e7, time.monotonic() - 0.1)
            time.sleep(max(0.0, due - time.monotonic()))


def _payloads(size: tuple[int, int], form: int, number: int) -> tuple[list[bytes], list[bytes]]:
    """One picture as UVC payloads, with the frame toggle 0 and 1, each behind raw-gadget's header."""
    image = picture(size, number)
    data = cv2.imencode(".jpg", image)[1] if form == MJPG else cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUY2)
    return _toggled(data.tobytes(), 0), _toggled(data.tobytes(), 1)


def _toggled(data: bytes, toggle: int) -> list[bytes]:
    step = PAYLOAD - 12
    parts = []
    for at in range(0, len(data), step):
        last = at + step >= len(data)
        part = struct.pack("<BB10x", 12, 0x80 | toggle | (2 if last else 0)) + data[at : at + step]
        if last and len(part) % 512 == 0:
            part += b"\0"  # a short packet ends the transfer
        parts.append(struct.pack("<HHI", 0, 0, len(part)) + part)
    return parts


if __name__ == "__main__":
    Webcam(sys.argv[1] if len(sys.argv) > 1 else "Bench UVC Webcam").serve()
