"""Every command of the command line is explained, and every command in the documents exists, with its options."""

import re
from collections.abc import Iterator

import click

from lamina.cli.main import cli
from tests.tidy.source_tree import ROOT

# `lamina`, up to three words, and what follows in the line: inline code, or a line of an example that is not an answer.
CALL = re.compile(r"(?:`|\$ |^)lamina (?!answers at)((?:[a-z][a-z-]* ?){1,3})([^`\n]*)", re.MULTILINE)
# Made from the declarations of the actions, and not by hand.
GENERATED = {"api-coverage.md", "behaviours.md"}
# What does not exist yet.
PLANS = "roadmap.md"

Words = tuple[str, ...]


def test_every_command_is_in_the_page_about_the_command_line():
    sections = re.split(r"^## ", (ROOT / "docs" / "cli.md").read_text(), flags=re.MULTILINE)
    missing = []
    for group, *names in _list_commands():
        about = [text for text in sections if text.startswith((group, "The operator's commands"))]
        wanted = names[-1] if names else group
        if not re.search(rf"(?<![\w-]){wanted}(?![\w-])", "".join(about)):
            missing.append(" ".join([group, *names]))
    assert not missing, f"docs/cli.md says nothing about: {missing}"


def test_commands_in_documents_exist():
    commands = _list_commands()
    groups = {words[:count] for words in commands for count in range(1, len(words))}
    wrong = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        if page.name in GENERATED or page.name == PLANS:
            continue
        for call in CALL.finditer(page.read_text()):
            words = tuple(call[1].split())
            known = max((n for n in (1, 2, 3) if words[:n] in commands or words[:n] in groups), default=0)
            command = commands.get(words[:known])
            asked = set(re.findall(r"(?<!\S)--[a-z-]+", call[2].partition("#")[0]))
            if not known or (command and words[0] != "ecs" and asked - _list_options(command)):
                wrong.append(f"{page.relative_to(ROOT)}: {call[0].strip()}")
    assert not wrong, f"there is no such command, or it has no such option: {wrong}"


def _list_options(command: click.Command) -> set[str]:
    return {"--help"}.union(*((*each.opts, *each.secondary_opts) for each in command.params))


def _list_commands() -> dict[Words, click.Command]:
    return dict(_walk(cli, ()))


def _walk(command: click.Command, words: Words) -> Iterator[tuple[Words, click.Command]]:
    if not isinstance(command, click.Group) or words == ("ecs",):  # its commands are the actions
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _walk(found, (*words, name))
