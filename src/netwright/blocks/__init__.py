"""Parts that several papers share: activations, norms, feed-forward layers, attention, positions, heads and sampling.

A block knows its own formula and nothing of the network around it. Letters: ``B`` batch, ``C`` channels, ``T`` time,
``D`` width, ``H`` heads, ``V`` vocabulary.
"""
