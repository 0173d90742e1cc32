"""Settings: what there is, where each comes from while the program runs, what is remembered of it.

It knows core and files; the composition root and the control plane know it. Import its modules by name: `schema` loads
pydantic, which the verbs that talk to the running program do without.
"""

__all__ = ["layered", "reading", "schema", "state"]
