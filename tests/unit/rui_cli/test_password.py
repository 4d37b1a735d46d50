"""`rui password` prints a hash that the model takes and that fits the password."""

import subprocess
import sys

import pytest
from lxml import etree

from netconf_server.accounts import verify_password
from rui_cli import password
from rui_cli.errors import CliError, ExitCode
from rui_cli.site import DEVICE_NAMESPACE, Content, configuration
from tests.models import router_model


def run(given: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "rui_cli", "password"]
    return subprocess.run(words, input=given, capture_output=True, text=True, check=False)


def test_the_hash_of_the_first_line_is_one_that_the_model_takes() -> None:
    done = run("open sesame\r\nnot this\n")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    hashed = done.stdout.strip()
    assert verify_password("open sesame", hashed)
    account = {"name": "operator", "password-hash": hashed}
    content: Content = {"device-id": "bras-a", "netconf-server": {"account": account}}
    router_model().check_config(etree.tostring(configuration(DEVICE_NAMESPACE, "device", content)))


def test_an_empty_password_is_refused() -> None:
    done = run("\n")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == "rui: the password is empty\n  remedy: give one\n"


def test_at_a_terminal_it_is_asked_for_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["one", "one", "one", "two"])
    monkeypatch.setattr(password, "getpass", lambda _prompt: next(answers))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    password.password()
    assert verify_password("one", capsys.readouterr().out.strip())
    with pytest.raises(CliError, match="differ"):
        password.password()
