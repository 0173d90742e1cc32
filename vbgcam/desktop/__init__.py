"""What people see at their desk: the tray icon and the control panel. Both are clients of `control` alone."""
