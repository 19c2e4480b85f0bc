"""To and from the files of other projects: nnActive's query log and nnU-Net's raw datasets."""

from alsweep.data.exchange.nnactive import read_loops, write_loops
from alsweep.data.exchange.nnunet import write_raw_dataset

__all__ = ["read_loops", "write_loops", "write_raw_dataset"]
