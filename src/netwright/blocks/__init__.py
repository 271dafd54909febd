"""Parts that several papers share: activations, norms, convolutions, joins, attention, recurrence, positions, writing.

A block knows its own formula and nothing of the network around it. Letters: ``B`` batch, ``C`` channels, ``T`` time,
``D`` width, ``H`` heads, ``V`` vocabulary.
"""
