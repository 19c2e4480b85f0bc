import io
import logging
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import psutil
import pytest
import torch

from alsweep.config.sweep import ResourcesConfig
from alsweep.disk import full_disk_told
from alsweep.errors import DiskFullError, LostError, TrajectoryFailedError
from alsweep.files import read_json
from alsweep.model.folds import Fold
from alsweep.trajectory import member_processes
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.members import Members
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.steps import Steps
from tests.trajectory.conftest import TINY_TRAINING, make_config
from tests.trajectory.killing import Noted, OutOfRoom, in_child

EACH_EPOCH = {"checkpoint_minutes": 0}
RECIPES = {
    "one-cycle": {"optimizer": "adamw_onecycle", "members": 1},
    "poly": {"preset": "nnunet", "patch_size": [16, 16, 16], "learning_rate": 1e-3, "members": 1},
    "snapshots": {"ensemble": "snapshots", "members": 2, "epochs": 7},
    "warm start": {"warm_start": True, "members": 1},
}


def make_steps(dataset, models, learner=None, resources=None, on_progress=None, **training):
    config = resolve(make_config(dataset, training=TINY_TRAINING | training), dataset)
    resources = ResourcesConfig(**(resources or {}))
    steps = Steps.make(config, dataset, models, resources, "me", on_progress)
    if learner is not None:
        members = steps.members
        changed = Members(
            members.setup, learner, members.store, "me", members.on_progress, resources
        )
        steps = replace(steps, members=changed)
    return steps


def start_patches(dataset):
    config = resolve(make_config(dataset), dataset)
    return [queried.patch for queried in draw_start(config, dataset)]


def train(steps, loops=1):
    """The members of the last of some loops over the same patches."""
    patches, members = start_patches(steps.dataset), ()
    for loop in range(loops):
        members = steps.train(loop, patches, members)
    return members


def weights(member):
    return member.network.state_dict()


def equal(one, other):
    return [m.key for m in one] == [m.key for m in other] and all(
        torch.equal(tensor, weights(b)[name])
        for a, b in zip(one, other, strict=True)
        for name, tensor in weights(a).items()
    )


def test_seeds_train_each_member_on_all_annotated_cases(phantom, tmp_path):
    steps = make_steps(phantom, tmp_path / "a", ensemble="seeds", members=2)
    seen = []
    patches = start_patches(phantom)
    original = steps.members.learner.fit

    class Spy(type(steps.members.learner)):
        def fit(self, network, setup, training_data, on_epoch, checkpoint):
            seen.append((training_data.member, tuple(training_data.cases)))
            return original(network, setup, training_data, on_epoch, checkpoint)

    spied = make_steps(phantom, tmp_path / "b", Spy(), ensemble="seeds", members=2)
    first, second = train(spied)
    annotated = tuple(sorted({patch.case for patch in patches}))
    assert seen == [(0, annotated), (1, annotated)]
    assert first.key != second.key
    assert any(not torch.equal(t, weights(second)[name]) for name, t in weights(first).items())


def test_a_key_holds_folds_and_optimiser_fields_only_where_they_count(phantom, tmp_path):
    patches = start_patches(phantom)

    def key(fold, **training):
        return make_steps(phantom, tmp_path, **training).members.key(patches, fold, 0, None)

    all_cases = key(None, ensemble="seeds", folds=2)
    assert all_cases == key(None, ensemble="seeds", folds=4)
    assert all_cases == key(None, ensemble="folds", folds=3)  # the fall-back of impossible folds
    assert all_cases == key(None, ensemble="seeds", warm_start=True)  # loop 0 has no parents
    assert all_cases == key(None, ensemble="seeds", momentum=0.5)
    first, of_three, searched = (
        Fold(["a"], address) for address in ([0, 2], [0, 3], [0, 2, ["a"]])
    )
    assert len({all_cases, *map(key, (first, of_three, searched))}) == 4
    assert key(first) == key(Fold(["b"], first.address))  # its cases follow from patches and index


def test_snapshots_are_cycles_of_one_training(phantom, tmp_path):
    learner = Noted(tmp_path)
    steps = make_steps(phantom, tmp_path / "a", learner, ensemble="snapshots", members=3, epochs=7)
    members = train(steps)
    assert [learner.epochs(member) for member in range(3)] == [[1, 2, 3], [1, 2], [1, 2]]
    # Each from the weights of the one before: the same by hand, without the first's training.
    by_hand = make_steps(phantom, tmp_path / "b", ensemble="snapshots", members=3, epochs=7).members
    labels = steps.labels(sorted(start_patches(phantom)))
    second = by_hand.train(0, labels, ())[1]
    assert equal([second], members[1:2])
    keys = [m.key for m in members]
    assert by_hand.keys(labels, ()) == keys
    assert keys[1] == by_hand.key(labels.patches, None, 1, members[0])
    assert keys[1] != by_hand.key(labels.patches, None, 1, None)


def test_fewer_snapshots_of_the_same_length_are_found_in_the_store(phantom, tmp_path):
    long = train(make_steps(phantom, tmp_path, ensemble="snapshots", members=3, epochs=3))
    short = train(make_steps(phantom, tmp_path, ensemble="snapshots", members=2, epochs=2))
    assert [m.key for m in short] == [m.key for m in long][:2]


def test_a_warm_start_of_snapshots_goes_on_from_the_last_of_them(phantom, tmp_path):
    steps = make_steps(
        phantom, tmp_path, ensemble="snapshots", members=2, epochs=2, warm_start=True
    )
    patches = start_patches(phantom)
    before = steps.train(0, patches, ())
    after = steps.train(1, patches, before)
    key = steps.members.key
    assert after[0].key == key(patches, None, 0, before[1])
    assert after[1].key == key(patches, None, 1, after[0])
    keys = steps.members.keys(steps.labels(sorted(patches)), [member.key for member in before])
    assert keys == [member.key for member in after]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda name: name.replace(" ", "-"))
def test_a_training_killed_after_any_epoch_ends_with_the_same_bits(phantom, tmp_path, recipe):
    training = {"epochs": 4} | RECIPES[recipe]
    loops = 2 if recipe == "warm start" else 1
    unbroken = train(make_steps(phantom, tmp_path / "a", **training), loops)
    last = len(unbroken) - 1
    learner = Noted(tmp_path, ((0, 1), (0, 3), (last, 2)))
    steps = make_steps(phantom, tmp_path / "b", learner, EACH_EPOCH, **training)
    exits = [in_child(lambda: train(steps, loops)) for _ in learner.deaths]
    assert exits == [-signal.SIGKILL] * 3
    assert equal(train(steps, loops), unbroken)
    # Killed before the epoch was saved, that one is trained again, and nothing else.
    first = [1, 1, 2, 2, 3, 3, 4] if last == 0 else [1, 1, 2, 3, 3, 4]
    assert learner.epochs(0)[: len(first)] == first
    assert not list((tmp_path / "b" / ".training").iterdir())


def test_the_seconds_of_a_killed_training_are_not_lost(phantom, tmp_path):
    learner = Noted(tmp_path, ((0, 3),))
    steps = make_steps(phantom, tmp_path / "b", learner, EACH_EPOCH, epochs=4, members=1)
    in_child(lambda: train(steps))
    (saved,) = (tmp_path / "b" / ".training").iterdir()
    digest_bytes = 32
    content = io.BytesIO(saved.read_bytes()[digest_bytes:])
    before = torch.load(content, weights_only=True)["seconds"]
    began = time.monotonic()
    (member,) = train(steps)
    assert before > 0
    assert member.seconds > before
    assert member.seconds < before + time.monotonic() - began
    assert read_json(tmp_path / "b" / member.key / "meta.json")["threads"] == 1


def test_a_torn_checkpoint_is_discarded_and_its_training_begins_anew(phantom, tmp_path, caplog):
    unbroken = train(make_steps(phantom, tmp_path / "a", epochs=2, members=1))
    learner = Noted(tmp_path, ((0, 2),))
    steps = make_steps(phantom, tmp_path / "b", learner, EACH_EPOCH, epochs=2, members=1)
    in_child(lambda: train(steps))
    (saved,) = (tmp_path / "b" / ".training").iterdir()
    saved.write_bytes(saved.read_bytes()[:-100])
    assert equal(train(steps), unbroken)
    assert "begins anew" in caplog.text
    assert learner.epochs(0) == [1, 2, 1, 2]


def test_members_side_by_side_are_those_of_one_after_the_other(phantom, tmp_path):
    told = []
    beside = make_steps(
        phantom, tmp_path / "a", None, {"cpus": 2, "members_at_once": 2}, told.append, epochs=2
    )
    members = train(beside)
    alone = make_steps(phantom, tmp_path / "b", epochs=2)
    assert equal(members, train(alone))
    assert [(p.done, p.total) for p in told] == [(done, 4) for done in range(5)]
    assert all(member.seconds > 0 and not member.cached for member in members)
    assert beside.members.threads == 1
    metas = [read_json(tmp_path / "a" / m.key / "meta.json") for m in members]
    assert [meta["threads"] for meta in metas] == [1, 1]


@pytest.fixture
def forked(monkeypatch):
    """Processes that begin at once: those that alsweep spawns import torch for some seconds."""
    monkeypatch.setattr(member_processes, "_SPAWN", multiprocessing.get_context("fork"))


@pytest.mark.usefixtures("forked")
def test_one_killed_process_costs_one_member_what_it_had_not_saved(phantom, tmp_path, caplog):
    unbroken = train(make_steps(phantom, tmp_path / "a", epochs=3))
    learner = Noted(tmp_path, ((1, 3),))
    resources = EACH_EPOCH | {"members_at_once": 2}
    steps = make_steps(phantom, tmp_path / "b", learner, resources, epochs=3)
    with caplog.at_level(logging.WARNING, "alsweep"):
        members = train(steps)
    assert equal(members, unbroken)
    assert learner.epochs(0) == [1, 2, 3]
    assert learner.epochs(1) == [1, 2, 3, 3]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("warning: member 1: its process was killed by signal 9")


@pytest.mark.usefixtures("forked")
def test_a_member_whose_process_dies_again_and_again_is_begun_elsewhere(phantom, tmp_path):
    learner = Noted(tmp_path, tuple((0, epoch) for epoch in range(1, 5)))
    resources = EACH_EPOCH | {"members_at_once": 2}
    steps = make_steps(phantom, tmp_path / "b", learner, resources, epochs=4)
    with pytest.raises(LostError, match=r"member 0.*4 times.*members_at_once"):
        train(steps)


class Faulty(Noted):
    def fit(self, network, setup, training_data, on_epoch, checkpoint):
        if training_data.member == 0:
            raise TrajectoryFailedError("the loss became nan")
        raise ZeroDivisionError("a bug")


@pytest.mark.usefixtures("forked")
def test_an_error_of_a_training_beside_is_the_error_of_the_trajectory(phantom, tmp_path):
    resources = {"members_at_once": 2}
    steps = make_steps(phantom, tmp_path, Faulty(tmp_path), resources)
    with pytest.raises((TrajectoryFailedError, ZeroDivisionError), match=r"nan|a bug"):
        train(steps)


class Endless(Noted):
    """Trains for ever, and says in which process."""

    def fit(self, network, setup, training_data, on_epoch, checkpoint):
        on_epoch(1)
        (self.notes / f"pid-{training_data.member}").write_text(str(os.getpid()))
        time.sleep(1000)


def pids_of(folder, count):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [path.read_text() for path in folder.glob("pid-*")]
        if len(found) == count and all(found):
            return [int(pid) for pid in found]
        time.sleep(0.05)
    raise TimeoutError


def all_gone(pids):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("at_once", [1, 2])
def test_a_full_disk_ends_the_trajectory_without_another_try(phantom, tmp_path, caplog, at_once):
    resources = {"members_at_once": at_once}
    steps = make_steps(phantom, tmp_path / "m", OutOfRoom(), resources, members=2)
    with pytest.raises(DiskFullError, match="is full"), full_disk_told(tmp_path):
        train(steps)
    assert "trained again" not in caplog.text
    assert not list(tmp_path.rglob("weights.pt"))


def test_the_processes_end_with_one_that_is_killed(phantom, tmp_path):
    steps = make_steps(phantom, tmp_path / "m", Endless(tmp_path), {"members_at_once": 2})
    parent = multiprocessing.get_context("fork").Process(target=train, args=(steps,))
    parent.start()
    pids = pids_of(tmp_path, 2)
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    assert all_gone(pids)


@pytest.mark.usefixtures("forked")
def test_the_processes_end_with_one_that_is_interrupted(phantom, tmp_path):
    def interrupt(progress):
        if progress.done == 2:
            pids_of(tmp_path, 2)
            raise KeyboardInterrupt

    steps = make_steps(
        phantom, tmp_path / "m", Endless(tmp_path), {"members_at_once": 2}, interrupt
    )
    with pytest.raises(KeyboardInterrupt):
        train(steps)
    assert all_gone(pids_of(tmp_path, 2))
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("forked")
def test_two_trajectories_that_train_the_same_members_agree(phantom, tmp_path):
    learner = Noted(tmp_path)
    store = tmp_path / "models"

    def work():
        train(make_steps(phantom, store, learner, EACH_EPOCH, epochs=4))

    other = multiprocessing.get_context("fork").Process(target=work)
    other.start()
    here = train(make_steps(phantom, store, learner, EACH_EPOCH, epochs=4))
    other.join()
    assert other.exitcode == 0
    assert equal(here, train(make_steps(phantom, tmp_path / "alone", epochs=4)))
    assert not list((store / ".training").iterdir())
    assert len([path for path in store.iterdir() if path.name != ".training"]) == 2


def test_what_a_training_beside_logs_is_logged_here(caplog):
    ours, theirs = multiprocessing.Pipe()
    logger = logging.Logger("alsweep.of.child")
    logger.addHandler(member_processes._PipeHandler(theirs))
    logger.warning("warning: %s is torn", "a file")
    record = ours.recv()
    assert (record.name, record.getMessage()) == ("alsweep.of.child", "warning: a file is torn")
