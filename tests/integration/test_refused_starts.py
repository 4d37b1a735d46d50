"""`rui router` and `rui manager` that cannot start say why and where, in words, and exit with 3."""

import subprocess
import sys
from pathlib import Path

import pytest

from rui_cli.errors import ExitCode
from rui_cli.site import VRRP, Content, Group, Site

DATA_PLANE, BFD = "urn:rui-cloud:yang:dataplane", "urn:rui-cloud:yang:bfd"


def start(kind: str, startup: Path, data: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "rui_cli", kind, "--startup", str(startup), "--data-dir", str(data)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def assert_refused(result: subprocess.CompletedProcess[str], *said: str) -> None:
    assert result.returncode == ExitCode.REFUSED, result.stderr
    assert "Traceback" not in result.stderr
    assert "remedy:" in result.stderr
    for words in said:
        assert words in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("kind", ["router", "manager"])
def test_a_missing_startup_file(kind: str, tmp_path: Path) -> None:
    startup = tmp_path / "nothing.xml"
    assert_refused(start(kind, startup, tmp_path / "data"), str(startup))


@pytest.mark.parametrize("kind", ["router", "manager"])
def test_a_startup_file_that_is_no_xml(kind: str, tmp_path: Path) -> None:
    startup = tmp_path / "startup.xml"
    startup.write_text('<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n<device\n')
    assert_refused(start(kind, startup, tmp_path / "data"), str(startup), "line ")


@pytest.mark.parametrize("device", ["cloud", "bras-a"])
def test_a_value_that_the_model_refuses_is_named_with_its_line(device: str, tmp_path: Path) -> None:
    site = Site(tmp_path, [Group("access-1", "bras-a", ("bras-b",))])
    site.write()
    startup = site.startup(device)
    lines = startup.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if "<max-missed>" in line)
    lines[number] = "<max-missed>many</max-missed>"
    startup.write_text("\n".join(lines))
    kind = "manager" if device == "cloud" else "router"
    assert_refused(start(kind, startup, site.data(device)), f"line {number + 1}", "max-missed", "many")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    site = Site(tmp_path, [Group("access-1", "bras-a", ("bras-b",))])
    site.write()
    with socket.create_server(("127.0.0.1", site.ports["bras-a"])):
        result = start("router", site.startup("bras-a"), site.data("bras-a"))
    assert_refused(result, str(site.ports["bras-a"]))


@pytest.mark.parametrize(
    ("own", "whole", "said"),
    [
        (
            {VRRP: {"vrid": "51", "virtual-address": "192.0.2.254", "interface": "nowhere"}},
            {},
            "correct the group's vrrp",
        ),
        (
            {
                "address-pool": [{"name": "homes", "prefix": "10.1.0.0/16"}],
                f"{{{DATA_PLANE}}}data-plane": {"access-interface": "nowhere"},
            },
            {},
            "correct data-plane",
        ),
        (
            {},
            {
                f"{{{BFD}}}bfd": {
                    "listen-address": "192.0.2.77",
                    "session": {
                        "name": "peer",
                        "role": "rbs",
                        "local-address": "192.0.2.77",
                        "remote-address": "192.0.2.78",
                    },
                }
            },
            "correct bfd",
        ),
    ],
    ids=["vrrp", "data-plane", "bfd"],
)
def test_an_interface_or_address_that_is_not_there(
    own: dict[str, Content], whole: dict[str, Content], said: str, tmp_path: Path
) -> None:
    group = Group("access-1", "bras-a", ("bras-b",), own_leaves={"bras-a": own})
    site = Site(tmp_path, [group], leaves={"bras-a": whole})
    site.write()
    assert_refused(start("router", site.startup("bras-a"), site.data("bras-a")), said)
