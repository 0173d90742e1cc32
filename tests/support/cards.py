"""A card with every key."""

FULL = """
name = "full"
about = "every key"
sha256 = ["00"]
inputs = ["src", "r1i", "ratio"]

[input]
name = "src"
short_side = 512
multiple_of = 32
layout = "NHWC"
color = "BGR"
mean = [0.5, 0.25, 0.125]
std = [1, 2, 3]

[output]
name = "pha"
channel = 1
layout = "NHWC"
activation = "sigmoid"

[state]
r1i = "r1o"
r2i = { output = "r2o", shape = [1, 16, 4, 4] }

[constants]
ratio = 0.5
sides = [1, 2]
"""
