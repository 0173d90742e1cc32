"""What people see of figures: one kit of pages, tables, charts and sheets of pictures."""

__all__ = ["sheet"]
