"""background.gallery: the folder of backgrounds is the person's: whatever stands in it is shown or marked, and nothing
from outside leads out of it."""

import contextlib
import io
import os
import random
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.clips import film
from tests.support.disks import small_disk
from vbgcam.background import gallery as module
from vbgcam.background.files import open_file
from vbgcam.background.gallery import Entry, Gallery
from vbgcam.core.errors import BackgroundError
from vbgcam.core.frames import Planes, Size
from vbgcam.pixels.convert import color_yuv, to_av

RED, GREEN, BLUE = (200, 40, 40), (40, 160, 60), (40, 60, 200)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "backgrounds"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "thumbnails"


@pytest.fixture
def gallery(folder: Path, cache: Path) -> Gallery:
    return Gallery(folder, cache, patience=60)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded, one after the other."""
    names: list[str] = []
    busy = threading.Lock()

    def counted(path: Path, size: Size) -> object:
        assert busy.acquire(blocking=False), "two files are decoded at once"
        try:
            names.append(path.name)
            return open_file(path, size)
        finally:
            busy.release()

    monkeypatch.setattr(module, "open_file", counted)
    return names


def picture(path: Path, colour: tuple[int, int, int] = RED, width: int = 64, height: int = 36) -> Path:
    Image.new("RGB", (width, height), colour).save(path)
    return path


def noise(path: Path) -> Path:
    """A picture that does not get small."""
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (240, 320, 3), np.uint8)).save(path)
    return path


def moving(path: Path, colours: list[tuple[int, int, int]], rate: int = 2) -> Path:
    """A film that shows one colour after the other."""
    shots = [to_av(Planes.filled(Size(64, 48), color_yuv(colour))) for colour in colours]
    return film(path, shots, rate=rate)


def animation(path: Path, colours: list[tuple[int, int, int]]) -> Path:
    first, *others = [Image.new("RGB", (64, 36), colour) for colour in colours]
    first.save(path, save_all=True, append_images=others, duration=500)
    return path


def names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def colour_of(image: bytes, x: float = 0.5, y: float = 0.5) -> tuple[int, ...]:
    """The pixel there."""
    with Image.open(io.BytesIO(image)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (320, 180))
        rgb = np.asarray(opened.convert("RGB"))
    return tuple(int(value) for value in rgb[int(y * 179), int(x * 319)])


def near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 10 for a, b in zip(one, other, strict=True))


# What is listed


def test_pictures_and_films_are_listed_by_their_labels_and_numbers_count(gallery: Gallery, folder: Path) -> None:
    for name in ("beach-10.png", "Beach_2.jpg", "zoo.webp", "Alps.JPG"):
        picture(folder / name)
    moving(folder / "creek.mp4", [RED, GREEN])
    animation(folder / "fire.gif", [RED, GREEN])
    assert [(entry.label, entry.kind, entry.broken) for entry in gallery.entries()] == [
        ("Alps", "picture", ""),
        ("Beach 2", "picture", ""),
        ("beach 10", "picture", ""),
        ("creek", "film", ""),
        ("fire", "film", ""),
        ("zoo", "picture", ""),
    ]


def test_what_is_no_background_is_not_listed(gallery: Gallery, folder: Path) -> None:
    picture(folder / "good.png")
    picture(folder / ".hidden.png")
    picture(folder / ".vbgcam-0123456789ab.png")
    (folder / "notes.txt").write_text("milk")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "more.png").mkdir()
    picture(folder / "more.png" / "inside.png")
    assert names(gallery.entries()) == ["good.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there, and there are no pipes with names")
def test_links_to_pictures_are_listed_and_lost_ones_and_pipes_left_alone(
    gallery: Gallery, folder: Path, tmp_path: Path
) -> None:
    (folder / "good.png").symlink_to(picture(tmp_path / "elsewhere.png"))
    (folder / "lost.png").symlink_to(tmp_path / "nothing.png")
    (folder / "round.png").symlink_to(folder / "round.png")
    (folder / "tree.png").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.png")
    assert [(entry.name, entry.broken) for entry in gallery.entries()] == [("good.png", "")]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text_is_not_listed_for_no_setting_could_hold_it(gallery: Gallery, folder: Path) -> None:
    picture(folder / "good.png")
    shutil.copy(folder / "good.png", os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    assert names(gallery.entries()) == ["good.png"]


def test_without_a_folder_there_are_no_backgrounds(tmp_path: Path) -> None:
    assert Gallery(tmp_path / "none", tmp_path / "cache").entries() == []


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BackgroundError, match=r"folder of backgrounds .* cannot be read: Not a directory"):
        Gallery(tmp_path / "file", tmp_path / "cache").entries()


# What is broken


def cut_jpeg(path: Path) -> None:
    noise(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(path: Path) -> None:
    path.write_text("<html>404</html>")


def cut_film(path: Path) -> None:
    moving(path, [RED, GREEN])
    path.write_bytes(path.read_bytes()[:700])


BROKEN: list[tuple[str, Callable[[Path], None], str]] = [
    ("cut.jpg", cut_jpeg, "broken or cut off"),
    ("page.jpg", text, "no picture that can be read"),
    ("page.mp4", text, "not a film"),
    ("cut.mp4", cut_film, "cut.mp4"),
]


@pytest.mark.parametrize(("name", "make", "why"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_a_broken_file_is_marked_in_one_line_and_the_others_are_shown(
    gallery: Gallery, folder: Path, name: str, make: Callable[[Path], None], why: str
) -> None:
    make(folder / name)
    picture(folder / "zebra.png")
    broken, good = gallery.entries()
    assert (broken.name, good.name, good.broken) == (name, "zebra.png", "")
    assert broken.kind == ("film" if name.endswith(".mp4") else "picture")
    assert why in broken.broken
    assert broken.broken.startswith(name)
    assert broken.broken.isprintable()
    assert str(folder) not in broken.broken
    with pytest.raises(BackgroundError) as caught:
        gallery.thumbnail(name)
    assert str(caught.value) == broken.broken


# When files are judged


def test_a_file_is_decoded_once_and_after_a_restart_the_thumbnails_say_what_is_whole(
    folder: Path, cache: Path, gallery: Gallery, decoded: list[str]
) -> None:
    picture(folder / "a.png")
    text(folder / "b.png")
    moving(folder / "c.mp4", [RED, GREEN])
    first, image = gallery.entries(), gallery.thumbnail("c.mp4")
    assert gallery.entries() == first
    gallery.thumbnail("a.png")
    with pytest.raises(BackgroundError):
        gallery.thumbnail("b.png")
    assert decoded == ["a.png", "b.png", "c.mp4"]
    again = Gallery(folder, cache)
    assert (again.entries(), again.thumbnail("c.mp4")) == (first, image)
    assert decoded[3:] == ["b.png"]


def test_a_file_that_was_replaced_is_judged_anew(gallery: Gallery, folder: Path) -> None:
    text(folder / "a.png")
    assert gallery.entries()[0].broken
    picture(folder / "a.png", GREEN)
    assert not gallery.entries()[0].broken
    assert near(colour_of(gallery.thumbnail("a.png")), GREEN)
    before = (folder / "a.png").stat()
    picture(folder / "a.png", BLUE)
    os.utime(folder / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert near(colour_of(gallery.thumbnail("a.png")), BLUE)


def test_many_new_files_are_judged_over_several_calls(folder: Path, cache: Path, decoded: list[str]) -> None:
    for number in range(3):
        text(folder / f"{number}.png")
    gallery = Gallery(folder, cache, patience=0)
    assert [bool(entry.broken) for entry in gallery.entries()] == [True, False, False]
    with pytest.raises(BackgroundError, match=r"2\.png is no picture"):
        gallery.thumbnail("2.png")  # asked for, it is judged at once
    assert [bool(entry.broken) for entry in gallery.entries()] == [True, True, True]
    assert decoded == ["0.png", "2.png", "1.png"]


# Thumbnails


def test_a_thumbnail_is_filled_whatever_the_pictures_shape(gallery: Gallery, folder: Path) -> None:
    tall = Image.new("RGB", (90, 900), RED)
    tall.paste(GREEN, (0, 415, 90, 485))
    tall.save(folder / "tall.png")
    image = gallery.thumbnail("tall.png")
    for x in (0, 0.5, 1):
        assert near(colour_of(image, x), GREEN)
        assert near(colour_of(image, x, 0), GREEN)
    picture(folder / "dot.png", BLUE, 1, 1)
    assert near(colour_of(gallery.thumbnail("dot.png"), 1, 1), BLUE)


def test_a_films_thumbnail_is_what_it_shows_after_a_second_of_less_than_one_too(gallery: Gallery, folder: Path) -> None:
    moving(folder / "film.mp4", [RED, RED, GREEN, GREEN, BLUE])
    animation(folder / "film.gif", [RED, RED, GREEN, GREEN, BLUE])
    moving(folder / "short.mp4", [GREEN, GREEN, GREEN], rate=30)
    for name in ("film.mp4", "film.gif", "short.mp4"):
        assert near(colour_of(gallery.thumbnail(name)), GREEN)


def test_a_changed_file_leaves_no_old_thumbnail_behind(gallery: Gallery, folder: Path, cache: Path) -> None:
    for colour in (RED, GREEN, BLUE):
        picture(folder / "a.png", colour, 64 + colour[0])
        gallery.thumbnail("a.png")
    assert len(list(cache.iterdir())) == 1


def test_the_cache_is_bounded_and_the_newest_stay(
    folder: Path, cache: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    monkeypatch.setattr(module, "_KEPT", 3)
    for number in range(6):
        picture(folder / f"{number}.png")
        gallery.thumbnail(f"{number}.png")
        for kept in cache.iterdir():  # the clock of a file system is too coarse to tell them apart
            os.utime(kept, ns=(0, kept.stat().st_mtime_ns - 10**9))
    assert len(list(cache.iterdir())) == 3
    decoded.clear()
    gallery.thumbnail("5.png")
    assert decoded == []


def test_without_a_place_for_thumbnails_the_gallery_still_works(folder: Path, tmp_path: Path) -> None:
    picture(folder / "a.png", GREEN)
    (tmp_path / "cache").write_text("a file is in the way")
    gallery = Gallery(folder, tmp_path / "cache")
    assert names(gallery.entries()) == ["a.png"]
    assert near(colour_of(gallery.thumbnail("a.png")), GREEN)
    gallery.remove("a.png")


OUTSIDE = ["", ".", "..", "../secret.png", "/etc/passwd", "sub/inside.png", ".hidden.png", "notes.txt", "sub", "A.png"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_is_not_listed_leads_nowhere(gallery: Gallery, folder: Path, name: str) -> None:
    picture(folder / "a.png")
    picture(folder.parent / "secret.png")
    picture(folder / ".hidden.png")
    (folder / "notes.txt").write_text("milk")
    (folder / "sub").mkdir()
    picture(folder / "sub" / "inside.png")
    for name_of in (name, str(folder / name), f"a.png/../{name}", f"a.png\0{name}"):
        for ask in (gallery.thumbnail, gallery.remove):
            with pytest.raises(BackgroundError, match="there is no background"):
                ask(name_of)
    assert (folder.parent / "secret.png").exists()
    assert len(list(folder.iterdir())) == 4


# Adding


def test_what_is_added_is_a_copy_to_the_byte_and_is_listed(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    data = noise(tmp_path / "upload.jpg").rename(tmp_path / "upload")
    entry = gallery.add("../../etc/beach.jpg", data)
    assert entry == Entry("beach.jpg", folder / "beach.jpg", "picture", "")
    assert gallery.entries() == [entry]
    assert entry.path.read_bytes() == data.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["beach.jpg"]


def test_a_name_that_is_taken_gets_a_number(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    data = picture(tmp_path / "upload.png")
    added = [gallery.add("image.png", data).name for _ in range(3)]
    assert added == ["image.png", "image 2.png", "image 3.png"]
    (folder / "Lake.png").symlink_to(tmp_path / "nothing")
    assert gallery.add("Lake.png", data).name == "Lake 2.png"


@pytest.mark.parametrize(
    ("asked", "name"), [("a", "a.mp4"), ("a.MOV", "a.mov"), ("a.txt", "a.txt.mp4"), ("a.gif", "a.gif")]
)
def test_a_film_that_lacks_its_suffix_gets_one(gallery: Gallery, tmp_path: Path, asked: str, name: str) -> None:
    entry = gallery.add(asked, moving(tmp_path / "made.mp4", [RED, GREEN]).rename(tmp_path / "upload"))
    assert (entry.name, entry.kind) == (name, "film")
    assert gallery.entries() == [entry]


@pytest.mark.parametrize(("name", "make"), [case[:2] for case in BROKEN], ids=[name for name, _, _ in BROKEN])
def test_what_cannot_be_read_is_not_taken_in(
    gallery: Gallery, folder: Path, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    data = (tmp_path / name).rename(tmp_path / "upload")
    for asked in (name, "my file"):
        with pytest.raises(BackgroundError) as caught:
            gallery.add(asked, data)
        message = str(caught.value)
        assert message.startswith(asked)
        assert message.isprintable()
        assert str(tmp_path) not in message
        assert list(folder.iterdir()) == []


def test_too_large_a_file_is_not_taken_in(
    gallery: Gallery, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    data = picture(tmp_path / "upload.png")
    monkeypatch.setattr(module, "MAX_BYTES", data.stat().st_size - 1)
    with pytest.raises(BackgroundError, match=r"beach\.png is too large"):
        gallery.add("beach.png", data)
    assert decoded == []
    monkeypatch.setattr(module, "MAX_BYTES", data.stat().st_size)
    assert gallery.add("beach.png", data).path.parent == folder


def test_a_full_disk_is_one_line_and_nothing_is_half_there(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    data = noise(tmp_path / "upload.png")
    with small_disk(folder, "100k"):
        with pytest.raises(BackgroundError, match=r"beach\.png cannot be taken in: No space left on device; make room"):
            gallery.add("beach.png", data)
        assert list(folder.iterdir()) == []
        assert gallery.add("small.png", picture(tmp_path / "small.png")).name == "small.png"


# Removing


def test_what_is_removed_is_gone_and_its_thumbnail_too(gallery: Gallery, folder: Path, cache: Path) -> None:
    picture(folder / "a.png")
    picture(folder / "b.png")
    text(folder / "c.png")
    gallery.entries()
    gallery.remove("a.png")
    gallery.remove("c.png")
    assert names(gallery.entries()) == ["b.png"]
    assert len(list(cache.iterdir())) == 1
    with pytest.raises(BackgroundError, match=r"there is no background 'a\.png'"):
        gallery.remove("a.png")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_of_a_link_the_link_is_removed(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    (folder / "a.png").symlink_to(picture(tmp_path / "mine.png"))
    gallery.remove("a.png")
    assert gallery.entries() == []
    assert (tmp_path / "mine.png").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may do everything")
def test_what_may_not_be_changed_is_one_line_with_what_fixes_it(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    picture(folder / "a.png")
    folder.chmod(0o500)
    try:
        with pytest.raises(BackgroundError, match=r"a\.png cannot be removed: Permission denied; chmod u\+rwx"):
            gallery.remove("a.png")
        with pytest.raises(BackgroundError, match=r"b\.png cannot be taken in: Permission denied; chmod u\+rwx"):
            gallery.add("b.png", picture(tmp_path / "b.png"))
    finally:
        folder.chmod(0o700)


# The backgrounds that come with the program


@pytest.fixture
def fresh(tmp_path: Path) -> Gallery:
    """Of somebody who never started the program."""
    return Gallery(tmp_path / "new" / "backgrounds", tmp_path / "cache", patience=60)


def test_a_new_folder_gets_all_that_come_with_the_program(fresh: Gallery) -> None:
    fresh.fill()
    entries = fresh.entries()
    assert [entry.label for entry in entries] == [
        "Bright studio", "City lights", "Cut paper", "Evening library", "Forest in fog", "Hills at dusk",
        "Northern blue",
    ]  # fmt: skip
    assert {(entry.kind, entry.broken) for entry in entries} == {("picture", "")}
    for entry in entries:
        with Image.open(entry.path) as image:
            assert image.size == (1920, 1080)
    assert sum(entry.path.stat().st_size for entry in entries) < 3_000_000


def test_a_folder_that_is_there_is_left_alone_and_what_was_removed_does_not_come_back(fresh: Gallery) -> None:
    fresh.fill()
    fresh.remove("Cut paper.jpg")
    fresh.fill()
    assert len(fresh.entries()) == 6


def test_where_it_fails_there_is_one_line_and_the_next_time_it_is_made(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    gallery = Gallery(disk / "backgrounds", tmp_path / "cache")
    with small_disk(disk, "40k"):
        with pytest.raises(BackgroundError, match="cannot be made: No space left on device"):
            gallery.fill()
        assert list(disk.iterdir()) == []
    gallery.fill()
    assert len(gallery.entries()) == 7


def test_what_a_killed_start_left_is_made_anew(fresh: Gallery) -> None:
    left = fresh.folder.with_name(".backgrounds.vbgcam-part")
    left.mkdir(parents=True)
    picture(left / "half.jpg")
    fresh.fill()
    assert len(fresh.entries()) == 7
    assert list(fresh.folder.parent.iterdir()) == [fresh.folder]


# Threads


def test_any_thread_may_do_anything_at_any_time(
    gallery: Gallery, folder: Path, tmp_path: Path, decoded: list[str]
) -> None:
    uploads = [picture(tmp_path / "0.png"), noise(tmp_path / "1.jpg"), animation(tmp_path / "2.gif", [RED, GREEN])]
    for upload in uploads:
        gallery.add(upload.name, upload)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            there = gallery.entries()
            assert not [entry.broken for entry in there if entry.broken]
            with contextlib.suppress(BackgroundError):  # another thread may have removed it
                action = chance.randrange(4)
                if action == 0 and len(there) > 3:
                    gallery.remove(chance.choice(there).name)
                elif action == 1:
                    gallery.add("image.png", chance.choice(uploads))
                elif there:
                    gallery.thumbnail(chance.choice(there).name)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    gallery.entries()
    assert len(decoded) > 10
    assert set(gallery._known) == {path.name for path in folder.iterdir()}


def test_a_file_that_is_replaced_while_it_is_read_is_not_called_broken(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(folder / "a.png")
    examined = module._examined

    def replaced(path: Path, called: str) -> object:
        path.unlink()
        try:
            return examined(path, called)
        finally:
            picture(path)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(module, "_examined", replaced)
        assert gallery.entries() == []
    assert [entry.broken for entry in gallery.entries()] == [""]
