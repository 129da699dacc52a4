import io
import json
import sys
import threading

import pytest

from lamina.cli.output import print_facts, print_json, print_table, progress_bar, say
from lamina.transfer.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_results_go_to_standard_output_and_messages_to_standard_error(capsys):
    print_json({"name": "é", "list": [1]})
    say("done")
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"name": "é", "list": [1]}
    assert "é" in shown.out
    assert shown.err == "done\n"


def test_a_table_in_a_pipe_is_aligned_text(capsys):
    print_table(("id", "name"), [("d-1", None), ("d-22", "[red]")])
    assert capsys.readouterr().out == "ID    NAME\nd-1\nd-22  [red]\n"


def test_a_table_on_a_terminal_shows_names_as_they_are(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    print_table(("id", "name"), [("d-22", "[red]")])
    assert "[red]" in screen.getvalue()


def test_facts_are_aligned(capsys):
    print_facts({"id": "d-1", "size": "1 GiB", "name": None})
    assert capsys.readouterr().out == "id    d-1\nsize  1 GiB\nname\n"


def test_no_bar_where_there_is_no_terminal(capsys):
    with progress_bar("import", Progress().read):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_what_was_measured_and_ends_with_the_block(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress()
    progress.expect(4 << 20)
    before = threading.active_count()
    with progress_bar("import", progress.read):
        progress.advance(1 << 20)
    assert threading.active_count() == before
    assert "import" in screen.getvalue()
    assert "1.00 MiB of 4.00 MiB" in screen.getvalue()


def test_a_bar_lets_failures_pass(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ValueError, match="broken"), progress_bar("import", Progress().read):
        raise ValueError("broken")


def test_a_quiet_command_has_no_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("import", Progress().read, enabled=False):
        pass
    assert screen.getvalue() == ""
