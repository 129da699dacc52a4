"""Where the root key comes from: a file, a credential of systemd, or a program; and never another installation's."""

import base64
import os
import shlex
import sys
import threading

import pytest

from lamina.control import root_key_source
from lamina.control.first_start import furnish
from lamina.control.installation import open_installation, open_metadata
from lamina.control.root_key import RootKey, RootKeyError
from lamina.control.root_key_source import CREDENTIAL, check, decode_key
from lamina.settings import Settings

KEY = bytes(range(32))
FORMS = (KEY, KEY.hex().encode() + b"\n", KEY.hex().upper().encode(), base64.b64encode(KEY) + b"\n")


@pytest.fixture
def settings(tmp_path):
    def choose(**more):
        return Settings(cache_dir=tmp_path / "cache", **more)

    return choose


def command_that_writes(output: bytes) -> str:
    program = f"import sys; sys.stdout.buffer.write(bytes.fromhex('{output.hex()}'))"
    return shlex.join([sys.executable, "-c", program])


def open_and_furnish(directory, settings):
    with open_installation(directory, settings) as installation:
        furnish(installation)
        return installation.root_key.derive("test")


def test_of_several_that_start_at_once_each_finds_the_right_key(tmp_path):
    key, failures = RootKey(KEY), []

    def start(directory, barrier):
        barrier.wait()
        try:
            check(directory, key)
        except (OSError, RootKeyError) as failure:
            failures.append(failure)

    for number in range(40):
        directory = tmp_path / str(number)
        directory.mkdir()
        barrier = threading.Barrier(6)
        threads = [threading.Thread(target=start, args=(directory, barrier)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pytest.raises(RootKeyError):
            check(directory, RootKey(bytes(32)))
    assert failures == []


@pytest.mark.parametrize("form", FORMS)
def test_a_program_gives_the_key_and_nothing_of_it_is_written(tmp_path, settings, form, capfd):
    data = tmp_path / "home"
    secret = open_and_furnish(data, settings(root_key_command=command_that_writes(form)))
    assert secret == decode_key(KEY, "test").derive("test")
    assert not (data / "root.key").exists()
    written = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    said = "".join(capfd.readouterr()).encode()
    for each in FORMS:
        assert each.strip() not in written + said


def test_lamina_toml_names_a_program_and_the_environment_wins(tmp_path, settings):
    data = tmp_path / "home"
    data.mkdir(mode=0o700)
    quoted = command_that_writes(KEY).replace("\\", "\\\\").replace('"', '\\"')
    (data / "lamina.toml").write_text(f'root_key_command = "{quoted}"\n')
    first = open_and_furnish(data, settings())
    with open_metadata(data, settings()) as (database, _), database.reading():
        pass
    with pytest.raises(RootKeyError, match="not the one of the installation"):
        open_and_furnish(data, settings(root_key_command=command_that_writes(bytes(32))))
    assert open_and_furnish(data, settings()) == first


def test_systemd_hands_the_key_over(tmp_path, settings):
    folder = tmp_path / "credentials"
    folder.mkdir()
    data = tmp_path / "home"
    made_file = open_and_furnish(data, settings(credentials_dir=folder))  # nothing for us in it
    (folder / CREDENTIAL).write_text((data / "root.key").read_bytes().hex())
    (data / "root.key").unlink()
    assert open_and_furnish(data, settings(credentials_dir=folder)) == made_file
    with pytest.raises(RootKeyError, match=r"root\.key cannot be read"):
        open_and_furnish(data, settings())


def test_another_key_is_refused_before_anything_is_written(tmp_path, settings):
    data = tmp_path / "home"
    open_and_furnish(data, settings())
    (data / "root.key").write_bytes(os.urandom(32))
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    with pytest.raises(RootKeyError, match="not the one of the installation"):
        open_and_furnish(data, settings())
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "empty"),
        ("'", "cannot be read"),
        ("/nowhere/at/all", "cannot be run"),
        ("false", "failed with status 1"),
        ("echo secret", "gave something else"),
        (f"{sys.executable} -c \"print('x' * 5000)\"", "more than a key"),
    ],
)
def test_programs_that_give_no_key(tmp_path, settings, command, message):
    with pytest.raises(RootKeyError, match=message) as refused:
        root_key_source.open_root_key(tmp_path, settings(), command, may_make=True)
    assert "secret" not in str(refused.value).replace("gave something else", "")
    assert not (tmp_path / "root.check").exists()


def test_a_program_that_does_not_end_is_ended(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(root_key_source, "_COMMAND_SECONDS", 0.2)
    with pytest.raises(RootKeyError, match="did not end"):
        root_key_source.open_root_key(tmp_path, settings(), "sleep 60", may_make=True)
