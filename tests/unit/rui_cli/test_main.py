"""The `rui` command line: what it lists, what it imports, and how it says no."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rui_cli import main as cli
from rui_cli.errors import CliError, ExitCode


def test_help_names_every_sub_command_and_the_exit_codes() -> None:
    shown = CliRunner().invoke(cli.build(["--help"]), ["--help"])
    assert shown.exit_code == 0
    for command in cli.SUB_COMMANDS:
        assert command.name in shown.output
    assert "Exit codes" in shown.output


def test_help_imports_no_sub_command() -> None:
    code = """if True:
        import sys
        from rui_cli import main
        main.build(["--help"])
        heavy = {"asyncssh", "lxml", "manager", "netconf_server", "pyang", "router"}
        print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
    """
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("command", cli.SUB_COMMANDS, ids=lambda command: command.name)
def test_every_sub_command_has_a_module_with_an_app_and_help(command: cli.SubCommand) -> None:
    module = import_module(command.module)
    assert isinstance(getattr(module, "app", None), typer.Typer) or callable(getattr(module, "command", None))
    shown = CliRunner().invoke(cli.build([command.name]), [command.name, "--help"])
    assert shown.exit_code == 0, shown.output


def test_an_unknown_word_is_wrong_usage() -> None:
    assert CliRunner().invoke(cli.build(["nonsense"]), ["nonsense"]).exit_code == ExitCode.USAGE


def test_an_expected_error_is_said_with_its_remedy_and_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_words: list[str]) -> typer.Typer:
        raise CliError("a.xml, line 3: no such leaf", remedy="correct it", exit_code=ExitCode.REFUSED)

    monkeypatch.setattr(cli, "build", refuse)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == ExitCode.REFUSED
    assert capsys.readouterr().err == "rui: a.xml, line 3: no such leaf\n  remedy: correct it\n"


def test_the_command_and_python_m_are_the_same() -> None:
    for command in ([sys.executable, "-m", "rui_cli"], [str(Path(sys.executable).with_name("rui"))]):
        shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
        assert "Subscriber redundancy" in shown.stdout


def printing_commands() -> list[tuple[str, ...]]:
    """The words of every command, but of those that serve: their output is a ready line, or a terminal's."""
    serving = {"router", "manager", "cli"}
    found: list[tuple[str, ...]] = []

    def gather(words: tuple[str, ...], command: object) -> None:
        inner = getattr(command, "commands", {})
        for name, below in inner.items():
            gather((*words, name), below)
        if not inner:
            found.append(words)

    for entry in cli.SUB_COMMANDS:
        if entry.name not in serving:
            top = typer.main.get_command(cli.build([entry.name]))
            gather((entry.name,), getattr(top, "commands", {})[entry.name])
    return found


@pytest.mark.parametrize("words", printing_commands(), ids=" ".join)
def test_every_command_that_prints_can_write_json(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli.build(words), [*words, "--help"], env={"COLUMNS": "200"})
    # All benchmarks together write a folder of JSON files
    assert "--json" in shown.output or words == ("bench", "all")


def test_a_package_whose_module_command_is_imported_is_still_a_group() -> None:
    import_module("rui_cli.bench.command")
    shown = CliRunner().invoke(cli.build(["bench"]), ["bench", "--help"])
    assert "replication" in shown.output


@pytest.mark.parametrize(("line", "offered"), [("rui mo", "model"), ("rui model ", "new-augment")])
def test_the_shell_completes(line: str, offered: str) -> None:
    environment = {**os.environ, "_RUI_COMPLETE": "complete_bash", "COMP_WORDS": line}
    environment["COMP_CWORD"] = str(len(line.split(" ")) - 1)
    shown = subprocess.run(
        [sys.executable, "-m", "rui_cli"], capture_output=True, text=True, env=environment, check=False
    )
    assert offered in shown.stdout.split()
