"""Other people's results as one tidy table: what their files say, in the words that they use."""

from alsweep.results.published.reading import import_results
from alsweep.results.published.table import read_published, write_published

__all__ = ["import_results", "read_published", "write_published"]
