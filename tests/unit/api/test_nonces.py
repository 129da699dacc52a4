import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from lamina.api.codes import ApiError
from lamina.api.nonces import WINDOW, NonceStore
from lamina.clock import ManualClock
from lamina.failures import Fault

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    return ManualClock(NOON)


def code_of(store, nonce="n", signed_at=NOON, key="k"):
    try:
        store.accept(key, nonce, signed_at)
    except ApiError as refused:
        return refused.code.text
    return "ok"


def test_a_nonce_is_accepted_once_per_key(clock):
    store = NonceStore(clock, None)
    assert [code_of(store), code_of(store), code_of(store, key="other")] == ["ok", "SignatureNonceUsed", "ok"]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_window_is_fifteen_minutes_both_ways(clock, sign):
    store = NonceStore(clock, None)
    assert code_of(store, "a", NOON + sign * WINDOW) == "ok"
    assert code_of(store, "b", NOON + sign * (WINDOW + timedelta(seconds=1))) == "IllegalTimestamp"


def test_a_call_signed_ahead_of_time_stays_used_for_as_long_as_it_is_valid(clock, tmp_path):
    ahead = NOON + timedelta(minutes=14)
    assert code_of(NonceStore(clock, tmp_path), "n", ahead) == "ok"
    for _ in range(29):
        clock.advance(timedelta(minutes=1))
        assert code_of(NonceStore(clock, tmp_path), "n", ahead) == "SignatureNonceUsed"
    clock.advance(timedelta(minutes=1))
    assert code_of(NonceStore(clock, tmp_path), "n", ahead) == "IllegalTimestamp"


def test_nonces_are_forgotten_when_they_cannot_be_replayed(clock, tmp_path):
    store = NonceStore(clock, tmp_path, capacity=10)
    for n in range(10):
        assert code_of(store, str(n)) == "ok"
    assert code_of(store, "surplus") == "Throttling"
    clock.advance(2 * WINDOW)
    assert code_of(store, "later", clock.now()) == "ok"
    assert len(list(tmp_path.iterdir())) == 1


def test_old_files_are_removed_at_the_start(clock, tmp_path):
    code_of(NonceStore(clock, tmp_path))
    clock.advance(timedelta(hours=1))
    NonceStore(clock, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_record_cut_short_does_not_spoil_those_behind_it(clock, tmp_path):
    store = NonceStore(clock, tmp_path)
    assert code_of(store, "a") == "ok"
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b"\x00\x01\x02")
    assert code_of(NonceStore(clock, tmp_path), "b") == "ok"
    again = NonceStore(clock, tmp_path)
    assert [code_of(again, "a"), code_of(again, "b")] == ["SignatureNonceUsed"] * 2


FULL_DISK = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from lamina.api.nonces import NonceStore
from lamina.clock import ManualClock
from lamina.failures import Fault
noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
store = NonceStore(ManualClock(noon), Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (12, resource.RLIM_INFINITY))
store.accept("k", "a", noon)
for _ in range(3):
    try:
        store.accept("k", "b", noon)
    except Fault:
        print("fault")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.accept("k", "b", noon)
"""


def test_a_nonce_that_a_full_disk_takes_in_part_is_not_accepted(clock, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["fault"] * 3
    again = NonceStore(clock, tmp_path)
    assert [code_of(again, nonce) for nonce in "abc"] == ["SignatureNonceUsed", "SignatureNonceUsed", "ok"]


def test_processes_that_share_a_folder_know_of_each_other(clock, tmp_path):
    one, another = NonceStore(clock, tmp_path), NonceStore(clock, tmp_path)
    assert [code_of(one, "a"), code_of(another, "b")] == ["ok", "ok"]
    assert [code_of(another, "a"), code_of(one, "b")] == ["SignatureNonceUsed"] * 2
    later = NOON + timedelta(minutes=14)  # of another quarter of an hour, so of another file
    assert [code_of(one, "c", later), code_of(another, "c", later)] == ["ok", "SignatureNonceUsed"]
    assert code_of(another, "a", later) == "SignatureNonceUsed"


def test_of_many_processes_that_are_sent_one_call_one_accepts_it(clock, tmp_path):
    stores = [NonceStore(clock, tmp_path) for _ in range(8)]
    barrier = threading.Barrier(len(stores))
    answers = []

    def race(store):
        for number in range(50):
            barrier.wait()
            answers.append((number, code_of(store, f"n {number}")))

    threads = [threading.Thread(target=race, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, answer in answers if answer == "ok") == list(range(50))
    assert {answer for _, answer in answers} == {"ok", "SignatureNonceUsed"}


def test_a_folder_that_cannot_be_written_is_a_fault(clock, tmp_path):
    store = NonceStore(clock, tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    with pytest.raises(Fault) as fault:
        store.accept("k", "n", NOON)
    assert fault.value.retryable
