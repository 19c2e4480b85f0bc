"""Members trained side by side, each in a process of its own; a process that is killed is replaced.

Where the worker has several cards, members are dealt out to them; else they share the one, as they
do the CPU. When the process that asked for the members ends,
however it ends, so do they.
"""

import logging
import multiprocessing
import pickle
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from alsweep.data.ingest.parallel import follow_parent
from alsweep.disk import full_disk_told
from alsweep.errors import AlsweepError, LostError, TrajectoryFailedError
from alsweep.model.device import set_threads, take_card
from alsweep.trajectory.member_task import MemberTask

OnMemberEpoch = Callable[[int, int], None]
"""Called with a member's index and the number of its finished epochs."""

_SPAWN = multiprocessing.get_context("spawn")  # a fork of a process that uses a card cannot use it
_SECONDS_TO_END = 10.0
_MOST_LOST = 3
"""Times that a member is begun again here; then its trajectory is, wherever there is room."""
_log = logging.getLogger(__name__)


class MemberProcesses:
    """Trains each of some members once.

    Args:
        tasks: One for each member.
        size: How many train at once.
        threads: Of torch, for each.
    """

    def __init__(self, tasks: Sequence[MemberTask], size: int, threads: int) -> None:
        self._waiting = deque(tasks)
        self._size = min(size, len(tasks))
        self._threads = threads
        self._lost = Counter[int]()
        self._hands: dict[Connection, _Hand] = {}

    def train(self, on_epoch: OnMemberEpoch, on_trained: Callable[[MemberTask], None]) -> None:
        """Train and publish the members.

        Args:
            on_epoch: Called after each epoch of each member.
            on_trained: Called when a member is published.

        Raises:
            TrajectoryFailedError: A training cannot go on.
            LostError: The process of a member was killed again and again.
            DiskFullError: There is no room for what a training has to write.
        """
        try:
            # All begin to import torch before the first of them is waited for.
            for hand in [_Hand(self._threads, card) for card in range(self._size)]:
                self._hands[hand.pipe] = hand
                hand.give(self._waiting.popleft())
            while self._hands:
                for pipe in wait(list(self._hands)):
                    assert isinstance(pipe, Connection)
                    self._hear(self._hands[pipe], on_epoch, on_trained)
        finally:
            for hand in self._hands.values():
                hand.end()

    def _hear(
        self, hand: "_Hand", on_epoch: OnMemberEpoch, on_trained: Callable[[MemberTask], None]
    ) -> None:
        """Heed one thing that a process says."""
        try:
            said = hand.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._replace(hand)
            return
        if isinstance(said, int):
            on_epoch(hand.task.member, said)
        elif isinstance(said, logging.LogRecord):
            logger = logging.getLogger(said.name)
            if logger.isEnabledFor(said.levelno):
                logger.handle(said)
        elif isinstance(said, Exception):
            raise said
        else:
            on_trained(hand.task)
            self._dismiss_or_give(hand)

    def _dismiss_or_give(self, hand: "_Hand") -> None:
        if self._waiting:
            hand.give(self._waiting.popleft())
        else:
            self._dismiss(hand)

    def _dismiss(self, hand: "_Hand", patience: float = 0.0) -> int:
        del self._hands[hand.pipe]
        return hand.end(patience)

    def _replace(self, hand: "_Hand") -> None:
        """Give a lost process's member to a new one.

        Raises:
            LostError: It was lost often, so that all may begin elsewhere, or later.
            TrajectoryFailedError: It was lost by no signal.
        """
        task, code = hand.task, self._dismiss(hand, _SECONDS_TO_END)
        if code >= 0:
            raise TrajectoryFailedError(
                f"member {task.member}: its process ended by itself with exit code {code}; see "
                f"what it wrote to stderr, or set resources.members_at_once: 1"
            )
        self._lost[task.member] += 1
        lost = f"member {task.member}: its process was killed by signal {-code}"
        if self._lost[task.member] > _MOST_LOST:
            raise LostError(
                f"{lost}, which makes {self._lost[task.member]} times, most often for want of "
                f"memory; lower resources.members_at_once or training.batch_size"
            )
        _log.warning("warning: %s, most often for want of memory; it alone is trained again", lost)
        successor = _Hand(self._threads, hand.card)
        self._hands[successor.pipe] = successor
        successor.give(task)


class _Hand:
    """A process that trains one member after the other, seen from its parent.

    Attributes:
        pipe: Brings what it says: a number of finished epochs, a log record, an error, or None when
            a member is published.
        task: What it was given last.
        card: Which one of those that the worker has, counted on where there are fewer.
    """

    task: MemberTask

    def __init__(self, threads: int, card: int) -> None:
        self.card = card
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs, threads, card), name="member")
        self._process.start()
        # Without our copy of its end the pipe breaks when the process dies.
        theirs.close()

    def give(self, task: MemberTask) -> None:
        """Let it train a member."""
        self.task = task
        with suppress(BrokenPipeError, ConnectionResetError):  # it is dead: the pipe will say so
            # Not by send(), which would pass tensors through shared memory: containers have little.
            self.pipe.send_bytes(pickle.dumps(task))

    def end(self, patience: float = 0.0) -> int:
        """See to it that the process is gone; return its exit code, negative for a signal.

        It is killed unless it ends within some seconds. Nothing is lost with it: members are
        published whole, and trainings keep checkpoints.
        """
        self.pipe.close()
        self._process.join(patience)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode


def _work(pipe: Connection, threads: int, card: int) -> None:
    """Train what comes through the pipe until it is closed."""
    follow_parent()
    set_threads(threads)
    take_card(card)
    logger = logging.getLogger("alsweep")
    logger.setLevel(logging.INFO)
    logger.addHandler(_PipeHandler(pipe))
    with suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(_answer(pipe, pipe.recv_bytes()))


def _answer(pipe: Connection, packed: bytes) -> Exception | None:
    try:
        task: MemberTask = pickle.loads(packed)
        with full_disk_told(task.store.root):
            task.train(lambda epochs: pipe.send(int(epochs)))
    except AlsweepError as error:
        return error
    except Exception as error:  # whatever it is, it is the parent's to raise
        error.add_note(traceback.format_exc())
        return error
    return None


class _PipeHandler(logging.Handler):
    """Hands log records to the parent, whose log knows trajectory and loop."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record whose arguments and traceback are written out."""
        record.msg = self.format(record)
        record.args = record.exc_info = record.exc_text = None
        self._pipe.send(record)
