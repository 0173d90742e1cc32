"""What people see of figures: one kit of tables, charts, pages and sheets of pictures.

It knows pixels and files, and nothing of what is measured: `evaluate` and `bench` bring their figures and words.
"""
