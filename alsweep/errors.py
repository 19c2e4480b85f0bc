"""What can go wrong by a user's hand: one sentence each, naming place and mend."""


class AlsweepError(Exception):
    """Base of all errors that a user can mend; shown as one line, without traceback."""

    exit_code = 2


class ConfigError(AlsweepError):
    """A search space, an override or an option is wrong."""


class DatasetError(AlsweepError):
    """A Dataset folder is missing, broken or not the one that a run began with."""


class IngestError(AlsweepError):
    """A raw dataset cannot be read; names the file."""


class RunFolderError(AlsweepError):
    """A run folder is not alsweep's, belongs to another sweep, or is in use."""


class PoolExhaustedError(AlsweepError):
    """Fewer patches fit into the unannotated space than were asked for."""


class RecordError(AlsweepError):
    """A result table or record lacks what an analysis needs."""


class StrategyError(AlsweepError):
    """A strategy is unknown, or its parameters are wrong."""


class RegistryError(AlsweepError):
    """A plug-in name is taken twice."""


class TrajectoryFailedError(AlsweepError):
    """A trajectory cannot go on, for a reason that trying again will not mend."""

    exit_code = 1


class DiskFullError(AlsweepError):
    """A disk has no room for what is to be written; names the disk."""

    exit_code = 1


class StoreError(AlsweepError):
    """An object store refuses a request, or holds what it should not."""


class LostError(AlsweepError):
    """Something that work needs is gone for now; another try may have it, so it fails nothing."""

    exit_code = 1


class RayGoneError(LostError):
    """The Ray on this machine is gone; finished loops are safe."""


class StoreAwayError(LostError):
    """An object store has not answered for long; nothing that was finished is lost."""
