"""The pictures that come with the program, drawn by code: seven backgrounds, and the demo's presenter.

What it makes is committed, so that nobody who installs or tests the program runs this:

    PYTHONPATH=packaging .venv/bin/python -m art
"""
