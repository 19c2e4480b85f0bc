"""Which numbers equal configs give: a count of the changes to them."""

NUMERICS = 7
"""In every member's key and in every record: raised when equal configs would give other weights
than before.

2: biased transposed convolutions, lower scales supervised at their own resolution, levels by
spacing. 3: regions through sigmoids. 4: unforced windows spread evenly over a case. 5: trained in
channels_last_3d on a CPU. 6: Dice of each sample by itself; nnU-Net's own learner blurs in one
way, not in whichever was quicker. 7: each batch has draws of its own.
"""
