"""The tests mirror the rooms of the house; `fakes` holds stand-ins that implement the whole interface."""
