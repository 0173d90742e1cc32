"""Files of people: videos, images, TOML; and files that are there whole or not at all (`atomic`).

It knows pixels and core; every room that reads or writes a file may know it. Import its modules by name: `video_reader`
loads FFmpeg's libraries.
"""

__all__ = ["atomic", "images", "toml_reader", "video_reader", "video_writer"]
