"""What a store may do to whoever asks it, and what becomes of it."""

import time
from itertools import cycle
from pathlib import Path

import pytest
from obstore.exceptions import GenericError

from alsweep.data.remote import to_make
from alsweep.errors import ConfigError, StoreAwayError, StoreError
from alsweep.storage.client import Store, told
from alsweep.storage.credentials import secrets_of_workers
from alsweep.storage.place import absolute, is_remote, spelled, url_of
from alsweep.storage.rooms import refuse_remote, to_read, to_share, to_work_in
from tests.storage.conftest import BUCKET, Line, keys_of


def test_a_place_in_a_store_is_known_again_as_a_path():
    place = Path("s3://bucket/some/run/")
    assert is_remote(place)
    assert absolute(place) == place
    assert spelled(place) == url_of("s3://bucket/some/run") == "s3://bucket/some/run"
    assert not is_remote(Path("runs/s3"))
    assert absolute(Path("runs")) == Path.cwd() / "runs"
    for wrong in ("s3://", "s3:", "s3://bucket/../other"):
        assert is_remote(Path(wrong))
        with pytest.raises(ConfigError, match="BUCKET/PREFIX"):
            url_of(wrong)


def test_an_address_that_is_not_known_becomes_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ("hdfs://host/run", "S3://bucket/run", "https://host/run"):
        with pytest.raises(ConfigError, match=r":// is not known; write s3://BUCKET/PREFIX, or"):
            absolute(Path(wrong))
        with pytest.raises(ConfigError, match="is not known"):
            refuse_remote(Path(wrong), "--out")
        for door in (to_work_in, to_share, to_read, to_make):
            with pytest.raises(ConfigError, match="is not known"), door(Path(wrong)):
                pass
    Path("mine:").mkdir()
    assert absolute(Path("mine:/run")) == tmp_path / "mine:" / "run"


def test_what_is_there_is_not_created_again_and_what_has_changed_is_not_replaced(prefix):
    store = Store(prefix)
    first = store.create("a", b"1")
    assert first
    assert store.create("a", b"2") is None
    second = store.replace("a", b"3", first)
    assert second
    assert store.replace("a", b"4", first) is None
    assert store.get("a") == (b"3", second)
    store.delete(["a", "a"])
    with pytest.raises(FileNotFoundError):
        store.get("a")


@pytest.mark.parametrize("fault", [503, 500, 429, "cut"])
def test_a_store_that_is_away_for_a_minute_is_asked_again(prefix, line: Line, clock, fault, caplog):
    store = Store(prefix, clock.patience())
    store.put("a", b"content")
    line.disturb = lambda *_: fault if clock.now < 60 else None
    assert store.get("a")[0] == b"content"
    assert 60 <= clock.now < 80
    assert [r.getMessage().split("(")[0] for r in caplog.records] == [
        f"warning: {prefix} does not answer ",
        f"{prefix} answers again",
    ]


def test_one_that_stays_away_is_told_in_one_line(prefix, line: Line, clock):
    line.disturb = lambda *_: 503
    with pytest.raises(StoreAwayError, match=r"not answered for 120 s \(status 503\)") as told:
        Store(prefix, clock.patience()).put("a", b"1")
    assert "\n" not in str(told.value)
    assert told.value.exit_code == 1
    assert 100 < clock.now <= 120


def test_one_that_hangs_is_asked_again(prefix, line: Line, clock):
    faults = iter(["hang", None])
    line.disturb = lambda *_: next(faults)
    began = time.monotonic()
    Store(prefix, clock.patience(), seconds=0.3).put("a", b"1")
    assert 0.3 <= time.monotonic() - began < 5
    assert len(line.asked) == 2


def test_a_refusal_is_told_at_once(prefix, line: Line, clock):
    for status, said in ((403, "access is refused"), (400, "AWS_REGION")):
        line.disturb = lambda *_, status=status: status
        with pytest.raises(StoreError, match=said):
            Store(prefix, clock.patience()).get("a")
    assert clock.now == 0


def test_where_nothing_says_who_we_are_nobody_waits():
    said = "s3://b: there are no keys to it; see to AWS_ACCESS"
    with pytest.raises(StoreError, match=said), told("s3://b"):
        raise GenericError("error sending request for url (http://169.254.169.254/latest)")


def test_a_bucket_that_is_not_there_is_named(prefix):
    store = Store("s3://nowhere/run")
    for ask in (
        lambda: store.get("a"),
        lambda: store.create("a", b""),
        lambda: store.put("a", b""),
    ):
        with pytest.raises(
            StoreError, match=r"^s3://nowhere/run: there is no such bucket; make it"
        ):
            ask()


def test_what_a_store_says_is_told_without_its_markup():
    answer = "Server returned non-2xx status code: 400 Bad Request: <Error><Message>the region {}"
    said = "^s3://b: the region is wrong; see to AWS_ACCESS"
    with pytest.raises(StoreError, match=said), told("s3://b"):
        raise GenericError(answer.format("is wrong</Message><HostId>x</HostId></Error>"))


@pytest.mark.parametrize("key", ["../evil", "far/../../evil", "far//evil"])
def test_a_key_that_would_leave_its_folder_is_refused(prefix, s3, key):
    folder = prefix.removeprefix(f"s3://{BUCKET}/")
    s3.put_object(Bucket=BUCKET, Key=f"{folder}/{key}", Body=b"x")
    with pytest.raises(StoreError, match="no plain path"):
        list(Store(prefix).objects())


def test_a_listing_goes_on_page_by_page_and_may_skip(prefix, monkeypatch):
    monkeypatch.setattr("alsweep.storage.client._PAGE", 2)
    store = Store(prefix)
    keys = ["a/1", "a/2", "b/1", "b/2", "b/3", "b/4", "b/5", "c"]
    for key in keys:
        store.put(key, b"x")
    assert [one.key for one in store.objects()] == keys
    asked = store.traffic.requests["LIST"]
    skipped = [one.key for one in store.objects("", lambda k: "b0" if k > "b/" else None)]
    assert skipped == ["a/1", "a/2", "b/1", "b/2", "c"]
    assert store.traffic.requests["LIST"] - asked == 3


def test_a_large_object_comes_in_parts_none_of_them_half(prefix, line: Line, clock, monkeypatch):
    monkeypatch.setattr("alsweep.storage.client._PART", 1000)
    store, content = Store(prefix, clock.patience()), bytes(range(250)) * 10
    store.put("large", content)
    faults = cycle(["cut", None, 503])
    line.disturb = lambda *_: next(faults)
    assert b"".join(store.pieces("large", len(content))) == content
    assert store.traffic.received == len(content)
    assert store.traffic.sent == len(content)


def test_requests_are_counted_each_time_they_are_made(prefix, line: Line, clock):
    store = Store(prefix, clock.patience())
    faults = iter([503, 503, None, None])
    line.disturb = lambda *_: next(faults)
    store.put("a", b"1234")
    store.get("a")
    assert store.traffic.requests == {"PUT": 3, "GET": 1}
    assert (store.traffic.sent, store.traffic.received) == (4, 4)


def test_profiles_have_keys_that_workers_get_and_no_text_shows(
    endpoint, prefix, tmp_path, monkeypatch, s3
):
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = LABKEY\naws_secret_access_key = LABSECRET\n"
    )
    (tmp_path / "config").write_text(
        f"[profile lab]\nregion = us-east-1\nendpoint_url = {endpoint}\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    Store(prefix).put("a", b"1")
    assert keys_of(s3, prefix) == {"a": b"1"}
    secrets = secrets_of_workers()
    assert secrets["AWS_ACCESS_KEY_ID"] == "LABKEY"
    assert secrets["AWS_SECRET_ACCESS_KEY"] == "LABSECRET"
    assert secrets["AWS_ENDPOINT_URL"] == endpoint
    assert "AWS_PROFILE" not in secrets
    assert "LABSECRET" not in f"{secrets} {secrets!r}"
