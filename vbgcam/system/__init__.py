"""The machine and its desktop: V4L2's calls, packages, the service manager, notifications, the log's file.

It knows core alone. Import its modules by name, since some are needed where others cannot be loaded (`doctor`).
"""

__all__ = ["linux_packages", "logfile", "machine", "notifications", "process_wide", "sd_notify", "v4l2"]
