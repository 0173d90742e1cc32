"""The values and decisions that everything else is made of: errors, frames with their seal, options, policy, specs,
text.

It knows nothing of the program, no file and no device; everybody may know it. Import its modules by name: `errors` and
`specs` are needed where NumPy, which `frames` needs, would cost the command line its first tenth of a second.
"""

__all__ = ["errors", "frames", "options", "policy", "specs", "text"]
