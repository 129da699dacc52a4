import subprocess
import sys

import click
import pytest

from lamina.cli.main import COMMANDS, ExitCode, cli, main
from lamina.failures import Cancelled, Corruption, Fault, Refusal


@pytest.fixture
def command(monkeypatch):
    """A sub-command that ends as the test says."""

    def install(ending):
        @click.command()
        def trial():
            if isinstance(ending, BaseException):
                raise ending
            click.echo(ending)

        monkeypatch.setattr(cli, "get_command", lambda _ctx, _name: trial)

    return install


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("fine", 0),
        (Fault("the store is gone", retryable=True), 1),
        (Refusal("no such disk"), 2),
        (click.UsageError("unknown option"), 2),
        (Corruption("block 7 is damaged"), 3),
        (Cancelled("stopped"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_how_it_ends_is_the_exit_status(command, capfd, ending, status):
    command(ending)
    assert main(["trial"]) == status
    shown = capfd.readouterr()
    if status not in (0, 2):
        assert shown.out == ""
        [line] = shown.err.strip().splitlines()  # click ends the line in which ^C stands
        assert line.startswith("lamina: ")
    if isinstance(ending, Refusal):
        assert shown.err == "lamina: no such disk\n"


def test_a_bug_is_not_hidden(command):
    command(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["trial"])


def test_the_table_of_exit_codes_is_in_the_help(capsys):
    assert main(["--help"]) == ExitCode.OK
    text = " ".join(capsys.readouterr().out.split())
    for code in ExitCode:
        assert f" {code.value} " in text, code
    for name in COMMANDS:
        assert name in text


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_can_be_imported(name, capsys):
    assert main([name, "--help"]) == 0
    assert "Usage: lamina " + name in capsys.readouterr().out


def test_an_unknown_command_is_wrong_usage(capsys):
    assert main(["nonsense"]) == ExitCode.REFUSED
    assert "nonsense" in capsys.readouterr().err


def test_help_imports_almost_nothing():
    program = (
        "import sys; from lamina.cli.main import main; main(['--help']);"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in"
        " ('rich', 'sqlalchemy', 'starlette', 'cryptography', 'uvicorn', 'blake3') or n.startswith('lamina.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(
        ["lamina.cli", "lamina.cli.lazy_group", "lamina.cli.main", "lamina.failures"]
    )
