"""Coders and decoders, every one behind the two interfaces of `base`; `table` says which there are and what is missing.

G.711 is our own, everything else is somebody else's library, loaded when it is first wanted: the product starts
without.
"""
