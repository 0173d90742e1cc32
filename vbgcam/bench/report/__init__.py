"""The figures for people and for programs: a table on the terminal, JSON, a page with charts. Everything here reads the
tree of figures alone (see `vbgcam.bench`), so that a saved one can be shown as well."""
