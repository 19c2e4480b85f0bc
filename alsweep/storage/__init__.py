"""Object storage, which enters at the doors only: a node's cache of Datasets, the mirror of a run.

What works in a run works on a local folder. Where the run lies in an object store, that folder is a
mirror which says so itself, and each durable write in it is published at once.
"""
