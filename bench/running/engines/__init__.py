"""How the cells of a grid are carried out."""

from bench.core import lazy

# A dask worker imports this package but runs no cell itself: it needs no torch, which takes seconds to load.
lazy.defer("torch")
