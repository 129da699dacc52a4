"""`lamina repo` as people run it: every command, its JSON, its exit status."""

import json
import os
import pty
import secrets
import shutil
import subprocess
import time

import pytest

from lamina.blockio.extents import Extent, format_extents
from tests import needs
from tests.e2e.lamina_program import Program

MIB = 2**20
BLOCK = 65536


def write_at(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def list_changes(tmp_path, *extents):
    path = tmp_path / "changed.json"
    path.write_bytes(format_extents(Extent(*extent) for extent in extents))
    return path


def test_the_life_of_a_repository(lamina, disk, tmp_path):
    first = lamina.capture(disk, "--name", "root")
    assert first["mode"] == "full"
    assert first["parent"] is None
    assert first["size_bytes"] == disk.stat().st_size
    assert first["source_changed"] is False
    write_at(disk, 3 * BLOCK + 5, b"changed")
    second = lamina.capture(disk, "--name", "root")
    assert (second["mode"], second["parent"]) == ("scan", first["snapshot"])
    assert second["changed_bytes"] == second["new_bytes"] == BLOCK
    assert lamina.list_ids() == [first["snapshot"], second["snapshot"]]

    shown = lamina.ask("show", second["snapshot"])
    assert shown["name"] == "root"
    assert shown["used_bytes"] == second["used_bytes"]
    assert shown["tracking"] == second["snapshot"]
    assert shown["repository"]["store"] == str(lamina.store)

    differing = lamina.ask("diff", first["snapshot"], second["snapshot"])
    assert differing["changed_bytes"] == BLOCK
    assert differing["extents"] == [{"offset": 3 * BLOCK, "length": BLOCK, "zero": False}]

    restored = tmp_path / "restored.img"
    told = lamina.ask("restore", second["snapshot"], restored)
    assert told["complete"]
    assert restored.read_bytes() == disk.read_bytes()
    assert restored.stat().st_blocks * 512 < 8 * MIB, "the hole is a hole"

    assert lamina.ask("verify", "--full")["sound"]
    assert lamina.ask("delete", first["snapshot"]) == {"snapshot": first["snapshot"], "deleted": True}
    assert lamina.list_ids() == [second["snapshot"]]
    swept = lamina.ask("sweep")
    assert swept["removed_manifests"] == 1
    assert swept["waiting_packs"] == 0
    assert lamina.ask("verify", second["snapshot"], "--full")["sound"]


def test_a_parent_is_chosen_by_name_and_can_be_named_or_refused(lamina, disk):
    first = lamina.capture(disk)
    other = lamina.capture(disk, "--name", "other")
    assert other["parent"] is None
    assert lamina.capture(disk)["parent"] == first["snapshot"]
    assert lamina.capture(disk, "--parent", other["snapshot"])["parent"] == other["snapshot"]
    full = lamina.capture(disk, "--no-parent")
    assert (full["mode"], full["parent"], full["new_bytes"]) == ("full", None, 0)
    lamina.run("capture", disk, "--parent", "s-nothing", status=2)
    lamina.run("capture", disk, "--parent", first["snapshot"], "--no-parent", status=2)


def test_only_the_listed_changes_are_read(lamina, disk, tmp_path):
    first = lamina.capture(disk)
    write_at(disk, 10 * BLOCK, b"new")
    write_at(disk, 21 * MIB, b"where there was a hole")
    changes = list_changes(tmp_path, (10 * BLOCK, 3), (21 * MIB, 22))
    second = lamina.capture(disk, "--parent", first["snapshot"], "--changed", changes, "--sample", "128")
    assert (second["mode"], second["hint_refused"], second["hint_lied"]) == ("hint", None, False)
    assert second["read_bytes"] == second["changed_bytes"] == 2 * BLOCK
    out = tmp_path / "out"
    lamina.run("restore", second["snapshot"], out)
    assert out.read_bytes() == disk.read_bytes()


def test_a_list_that_lies_is_found_out_and_does_no_harm(lamina, tmp_path):
    disk = tmp_path / "small.img"  # one leaf, so that a sample of 128 blocks is all of them
    disk.write_bytes(os.urandom(2 * MIB))
    first = lamina.capture(disk)
    write_at(disk, 5 * BLOCK, b"concealed")
    ended = lamina.run(
        *("capture", disk, "--parent", first["snapshot"], "--sample", "128", "--json"),
        *("--changed", list_changes(tmp_path, (0, 1))),
    )
    assert ended.document["hint_lied"]
    assert ended.document["mode"] == "scan"
    assert "left out a change" in ended.err
    lamina.run("restore", ended.document["snapshot"], tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == disk.read_bytes()


def test_a_list_needs_a_parent_and_its_own_form(lamina, disk, tmp_path):
    first = lamina.capture(disk)
    changes = list_changes(tmp_path, (0, 1))
    assert "since when" in lamina.run("capture", disk, "--changed", changes, status=2).err
    changes.write_text('[{"offset": -1}]')
    options = ("--parent", first["snapshot"], "--changed", changes)
    assert "list of extents" in lamina.run("capture", disk, *options, status=2).err
    assert len(lamina.list_ids()) == 1


def test_a_source_that_changes_meanwhile_is_told(lamina, tmp_path):
    disk = tmp_path / "busy.img"
    disk.write_bytes(os.urandom(96 * MIB))
    process = lamina.start("capture", disk, "--json")
    while process.poll() is None:
        os.utime(disk)
        time.sleep(0.01)
    out, err = process.communicate()
    assert process.returncode == 0
    assert json.loads(out)["source_changed"] is True
    assert b"several instants" in err


def test_who_writes_to_the_source_is_named(lamina, disk):
    with disk.open("r+b"):
        assert f"pid {os.getpid()}" in lamina.run("capture", disk).err


def test_standard_output_carries_the_disk_and_nothing_else(lamina, disk):
    snapshot = lamina.capture(disk)["snapshot"]
    process = lamina.start("restore", snapshot, "-")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == disk.read_bytes()
    lamina.run("restore", snapshot, "-", "--json", status=2)


def test_a_reader_that_goes_away_is_no_success(lamina, disk):
    snapshot = lamina.capture(disk)["snapshot"]
    process = lamina.start("restore", snapshot, "-")
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert b"the disk is incomplete" in err


def test_an_existing_target_is_overwritten_only_when_asked_and_where_it_differs(lamina, disk, tmp_path):
    snapshot = lamina.capture(disk)["snapshot"]
    target = tmp_path / "target.img"
    shutil.copy(disk, target)
    with target.open("r+b") as file:
        file.write(b"other")
        file.seek(30 * MIB)
        file.write(b"longer than the snapshot")
    before = target.read_bytes()
    assert "--force" in lamina.run("restore", snapshot, target, status=2).err
    assert target.read_bytes() == before
    told = lamina.ask("restore", snapshot, target, "--force")
    assert told["written_bytes"] == BLOCK
    assert target.read_bytes() == disk.read_bytes()
    os.truncate(target, 100)
    lamina.run("restore", snapshot, target, "--force")
    assert target.read_bytes() == disk.read_bytes()
    with target.open("r+b"):
        assert "open for writing" in lamina.run("restore", snapshot, target, "--force", status=2).err


def spoil_data(lamina):
    """Damage the first record of every data pack; the ranges that are bad are the first block's."""
    for pack in lamina.list_objects("data"):
        write_at(pack, 60, bytes([pack.read_bytes()[60] ^ 1]))


def test_damage_is_told_and_nothing_that_looks_complete_is_left(lamina, disk, tmp_path):
    snapshot = lamina.capture(disk)["snapshot"]
    spoil_data(lamina)
    target = tmp_path / "target.img"
    ended = lamina.run("restore", snapshot, target, "--json", status=3)
    (bad,) = ended.document["damaged"]
    assert bad["length"] == BLOCK
    assert ended.document["complete"] is False
    assert f"bytes {bad['offset']}-{bad['offset'] + BLOCK - 1}" in ended.err
    assert snapshot in ended.err
    assert not list(tmp_path.glob("target*"))

    verified = lamina.ask("verify", "--full", status=3)
    assert not verified["sound"]
    assert [(row["offset"], row["length"]) for row in verified["damaged_ranges"]] == [(bad["offset"], BLOCK)]

    assert lamina.ask("restore", snapshot, target, "--best-effort", status=3)["complete"] is False
    good = bytearray(disk.read_bytes())
    good[bad["offset"] : bad["offset"] + BLOCK] = bytes(BLOCK)
    assert target.read_bytes() == good
    process = lamina.start("restore", snapshot, "-", "--best-effort")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, good)
    assert f"bytes {bad['offset']}-".encode() in err


def test_after_damage_was_condemned_the_next_snapshot_is_whole(lamina, disk):
    old = lamina.capture(disk)["snapshot"]
    spoil_data(lamina)
    found = lamina.ask("verify", "--full", "--condemn", status=3)
    assert found["condemned"] == found["damaged_packs"] != []
    new = lamina.capture(disk, "--parent", old)["snapshot"]
    assert lamina.ask("verify", new, "--full")["sound"]
    target = disk.with_name("restored.img")
    lamina.run("restore", new, target)
    assert target.read_bytes() == disk.read_bytes()
    again = lamina.ask("verify", old, "--full", "--condemn", status=3)
    assert (again["damaged_packs"], again["condemned"]) == (found["damaged_packs"], [])


def test_damage_of_a_stream_ends_it_before_the_bad_bytes(lamina, disk):
    snapshot = lamina.capture(disk)["snapshot"]
    spoil_data(lamina)
    process = lamina.start("restore", snapshot, "-")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert disk.read_bytes().startswith(out)
    assert f"bytes {len(out)}-{len(out) + BLOCK - 1}".encode() in err


def test_a_damaged_manifest_is_told_and_hides_no_other(lamina, disk, tmp_path):
    first = lamina.capture(disk)["snapshot"]
    second = lamina.capture(disk)["snapshot"]
    (manifest,) = lamina.list_objects(f"snapshots/{first}")
    write_at(manifest, 40, bytes([manifest.read_bytes()[40] ^ 1]))
    shutil.rmtree(tmp_path / ".cache")
    listed = lamina.ask("list", status=3)
    assert [item["snapshot"] for item in listed["snapshots"]] == [second]
    assert [item["snapshot"] for item in listed["damaged"]] == [first]
    assert lamina.ask("recover", status=3)["damaged"] == listed["damaged"]


def test_a_wrong_or_missing_secret_is_refused(lamina, disk, tmp_path):
    lamina.capture(disk)
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"another key file, 32 bytes long.")
    assert "does not unlock" in lamina.run("list", "--key-file", wrong, status=2).err
    assert "cannot read the key file" in lamina.run("list", "--key-file", tmp_path / "none", status=2).err
    lamina.env["LAMINA_KEY_FILE"] = ""
    assert "LAMINA_PASSPHRASE" in lamina.run("list", status=2).err
    lamina.env["LAMINA_PASSPHRASE"] = "guess"
    assert "unlocked by a key-file" in lamina.run("list", status=2).err


def test_init_wants_a_secret_outside_of_the_repository(tmp_path):
    program = Program(tmp_path)
    inside = program.store / "key"
    program.store.mkdir()
    inside.write_bytes(program.key.read_bytes())
    assert "own folder" in program.run("init", "--key-file", inside, status=2).err
    program.env["LAMINA_KEY_FILE"] = ""
    assert "--key-file" in program.run("init", status=2).err
    assert not list(program.store.glob("keys*"))
    inside.unlink()
    program.run("init", "--key-file", program.key)
    assert "already" in program.run("init", "--key-file", program.key, status=2).err


def test_passwd_changes_what_unlocks(lamina, disk, tmp_path):
    snapshot = lamina.capture(disk)["snapshot"]
    new = tmp_path / "new"
    new.write_bytes(os.urandom(32))
    assert lamina.ask("passwd", "--new-key-file", new)["unlocked_by"] == "key-file"
    lamina.run("list", status=2)
    lamina.env["LAMINA_KEY_FILE"] = str(new)
    assert lamina.list_ids() == [snapshot]
    lamina.env["LAMINA_NEW_PASSPHRASE"] = "correct horse"
    assert lamina.ask("passwd")["unlocked_by"] == "passphrase"
    lamina.env |= {"LAMINA_KEY_FILE": "", "LAMINA_PASSPHRASE": "correct horse"}
    assert lamina.list_ids() == [snapshot]
    del lamina.env["LAMINA_NEW_PASSPHRASE"]
    assert "no terminal" in lamina.run("passwd", status=2).err


def type_at_terminal(program, command, *lines):
    """Run a command at a terminal of its own and type an answer to each of its questions."""
    ours, theirs = pty.openpty()
    process = program.start(command, stdin=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    try:
        for line in lines:
            while not seen.endswith(b": "):
                seen += os.read(ours, 1000)
            os.write(ours, line.encode() + b"\n")
            seen = b""
        process.stdout.read()
        process.stdout.close()
        return process.wait(30)
    finally:
        os.close(ours)


def test_a_passphrase_is_asked_for_at_a_terminal(tmp_path):
    program = Program(tmp_path, env={"LAMINA_KEY_FILE": ""})
    assert type_at_terminal(program, "init", "correct horse", "correct horse") == 0
    assert type_at_terminal(program, "list", "correct horse") == 0
    assert type_at_terminal(program, "list", "wrong horse") == 2


def test_a_bucket_is_as_good_as_a_folder(seaweedfs, tmp_path, disk):
    environment = {
        "LAMINA_S3_ENDPOINT": seaweedfs.endpoint,
        "AWS_ACCESS_KEY_ID": seaweedfs.access_key_id,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_access_key,
    }
    location = f"s3://{seaweedfs.bucket}/e2e/{secrets.token_hex(8)}"
    program = Program(tmp_path, env=environment, location=location)
    program.ask("init")
    snapshot = program.capture(disk)["snapshot"]
    assert program.list_ids() == [snapshot]
    program.run("restore", snapshot, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == disk.read_bytes()
    assert program.ask("verify", "--full")["sound"]
    program.run("delete", snapshot)
    assert program.ask("sweep")["removed_packs"] > 0


def test_recover_needs_nothing_but_the_store(lamina, disk, tmp_path):
    snapshot = lamina.capture(disk, "--name", "root")["snapshot"]
    shown = lamina.ask("show", snapshot)
    del shown["repository"]
    shutil.rmtree(tmp_path / ".cache")
    recovered = lamina.ask("recover")
    assert recovered["snapshots"] == [shown]
    assert recovered["index"]["packs"] == 1
    assert recovered["index"]["blocks"] * BLOCK == lamina.ask("verify")["blocks"] * BLOCK
    assert recovered["leftovers"]["sessions"] == []


def test_serve_until_it_is_told_to_stop(lamina, disk, tmp_path):
    first = lamina.capture(disk)["snapshot"]
    write_at(disk, 0, b"new")
    second = lamina.capture(disk)["snapshot"]
    socket = tmp_path / "nbd.sock"
    process = lamina.start("serve", second, "--socket", socket, "--changed-since", first, "--json")
    try:
        told = json.loads("".join(iter(lambda: process.stdout.readline().decode(), "}\n")) + "}")
        assert told["size_bytes"] == disk.stat().st_size
        copied = subprocess.run(["nbdcopy", told["uri"], str(tmp_path / "copy")], check=False, timeout=60)
        assert copied.returncode == 0
        assert (tmp_path / "copy").read_bytes() == disk.read_bytes()
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert not socket.exists()
    assert not lamina.list_objects("sessions")


def test_serve_wants_one_place_to_listen(lamina, disk):
    snapshot = lamina.capture(disk)["snapshot"]
    for place in ([], ["--listen", "somewhere"], ["--listen", "127.0.0.1:0", "--socket", "x"]):
        lamina.run("serve", snapshot, *place, status=2)
    assert "loopback" in lamina.run("serve", snapshot, "--listen", "192.0.2.1:0", status=2).err


def test_unknown_snapshots_are_refused_by_every_command(lamina, tmp_path):
    for arguments in (
        ("show", "s-none"),
        ("diff", "s-none", "s-none"),
        ("restore", "s-none", tmp_path / "x"),
        ("serve", "s-none", "--listen", "127.0.0.1:0"),
        ("verify", "s-none"),
        ("delete", "s-none"),
    ):
        assert "no snapshot 's-none'" in lamina.run(*arguments, status=2).err
    assert not lamina.list_objects("sessions")


def test_a_place_without_a_repository_is_refused(tmp_path):
    program = Program(tmp_path)
    assert "does not exist" in program.run("list", status=2).err
    program.store.mkdir()
    assert "lamina repo init" in program.run("list", status=2).err


def test_every_command_explains_itself(lamina):
    for command in ("init", "capture", "list", "show", "diff", "restore", "serve", "verify", "delete"):
        assert "STORE" in lamina.run(command, "--help").out


def test_listing_is_quick(lamina, disk):
    lamina.capture(disk)
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        lamina.run("list")
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.5


def test_lines_for_people(lamina, disk, tmp_path):
    assert "hint lied" in lamina.run("capture", disk).out
    (snapshot,) = lamina.list_ids()
    assert snapshot in lamina.run("list").out
    assert "24.0 MiB" in lamina.run("show", snapshot).out
    assert lamina.run("diff", snapshot, snapshot).out.split() == ["OFFSET", "LENGTH", "SIZE", "NOW"]
    assert "written" in lamina.run("restore", snapshot, tmp_path / "out").out
    assert "sound" in lamina.run("verify").out
    assert "index" in lamina.run("recover").out
    lamina.run("delete", snapshot)
    assert "would be freed" in lamina.run("sweep", "--dry-run").out
    assert "removed" in lamina.run("sweep", "--compact").out


@needs.ROOT
def test_a_full_store_is_a_fault_and_leaves_no_snapshot(tmp_path):
    program = Program(tmp_path)
    program.store.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(program.store)]
    subprocess.run(mount, check=True)
    try:
        program.ask("init")
        disk = tmp_path / "disk.img"
        disk.write_bytes(os.urandom(64 * MIB))
        assert "free some space" in program.run("capture", disk, status=1).err
        assert program.list_ids() == []
    finally:
        subprocess.run(["umount", str(program.store)], check=True)


@pytest.fixture
def device(tmp_path):
    """A block device of 32 MiB that is full of other bytes."""
    backing = tmp_path / "backing"
    backing.write_bytes(b"other" * (32 * MIB // 5 + 1))
    os.truncate(backing, 32 * MIB)
    attach = ["losetup", "--find", "--show", str(backing)]
    device = subprocess.run(attach, capture_output=True, text=True, check=True).stdout.strip()
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


@needs.ROOT
def test_a_block_device_is_restored_in_place_and_captured(lamina, disk, device):
    snapshot = lamina.capture(disk)["snapshot"]
    lamina.run("restore", snapshot, device, status=2)
    told = lamina.ask("restore", snapshot, device, "--force")
    assert told["written_bytes"] + told["kept_bytes"] <= disk.stat().st_size
    again = lamina.capture(device, "--parent", snapshot)
    assert again["source_changed"] is None
    assert again["size_bytes"] == 32 * MIB
    process = lamina.start("restore", again["snapshot"], "-")
    out, _ = process.communicate(timeout=60)
    assert out[: disk.stat().st_size] == disk.read_bytes()
    assert set(out[-4 * MIB :]) == set(b"other"), "what lies past the disk is left alone"
    large = lamina.store.parent / "large.img"
    large.touch()
    os.truncate(large, 64 * MIB)
    larger = lamina.capture(large)["snapshot"]
    assert "larger target" in lamina.run("restore", larger, device, "--force", status=2).err
