from __future__ import annotations

import functools
from pathlib import Path

import pytest
from lxml import etree

from manager.config import MODULES, Endpoint, ManagerConfig, read_config
from manager.homes import check_homes
from netconf_client import KnownHosts, PinnedKey, Target, TlsTarget, TrustOnFirstUse
from netconf_server import load_schema
from rui.backup.delivery import DeliveryMode
from rui.schema import DataError, Schema
from rui.schema.leaves import ConfigError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"


@functools.cache
def schema() -> Schema:
    return load_schema(MODULES)


def read(tmp_path: Path, devices: str = "", groups: str = "", server: str = "") -> ManagerConfig:
    (tmp_path / "secret").write_text("hush\nsecond line\n")
    text = (
        '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><cloud xmlns="urn:rui-cloud:yang:cloud">'
        f"<netconf-server><listen><address>127.0.0.1</address></listen>{server}</netconf-server>"
        f"{devices}{groups}</cloud></config>"
    )
    return read_config(schema(), etree.fromstring(text), tmp_path, tmp_path / "data")


def device(name: str, *extra: str, secret: str = "<password-file>secret</password-file>") -> str:
    return f"<device><device-id>{name}</device-id><username>cloud</username>{secret}{''.join(extra)}</device>"


def test_what_is_not_said_is_the_model_s_default(tmp_path: Path) -> None:
    config = read(tmp_path, device("bras-a", "<address>192.0.2.1</address>", f"<host-key>{KEY}</host-key>"))
    assert config.server.listen == Endpoint("127.0.0.1", 830)
    assert config.server.call_home_listen is None
    assert config.server.host_key_file == tmp_path / "data" / "host-key"
    assert config.server.limits.idle_timeout is None
    found = config.devices["bras-a"]
    assert (found.enabled, found.call_home, found.driver) == (True, False, "native")
    assert (found.first_wait, found.longest_wait) == (0.2, 10.0)
    assert isinstance(found.target, Target)
    assert (found.target.where, found.target.username, found.target.password) == (
        "192.0.2.1:830",
        "cloud",
        "hush",
    )
    assert (found.target.keepalive_interval, found.target.keepalive_count) == (1.0, 3)
    profile = config.profile("any")
    assert profile.options.mode is DeliveryMode.DIRECT
    assert (profile.options.source.batch_records, profile.options.source.receipt_timeout) == (1000, 30.0)
    assert profile.tombstones == 100_000


def test_a_group_has_its_own_profile(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        groups="<group><group-id>g1</group-id><delivery-mode>download</delivery-mode>"
        "<max-records>50</max-records><timers><delivery-timeout>700</delivery-timeout></timers></group>",
    )
    options = config.profile("g1").options
    assert options.mode is DeliveryMode.DOWNLOAD
    assert (options.source.batch_records, options.source.receipt_timeout) == (50, 0.7)
    assert config.profile("g2").options.mode is DeliveryMode.DIRECT


@pytest.mark.parametrize(
    ("leaf", "policy"),
    [
        (f"<host-key>{KEY}</host-key>", PinnedKey(KEY)),
        ("<known-hosts-file>known</known-hosts-file>", "known"),
        ("<trust-on-first-use-file>seen</trust-on-first-use-file>", "seen"),
    ],
)
def test_the_three_ways_to_know_a_router(tmp_path: Path, leaf: str, policy: PinnedKey | str) -> None:
    target = read(tmp_path, device("a", "<address>192.0.2.1</address>", leaf)).devices["a"].target
    assert isinstance(target, Target)
    found = target.host_key
    if isinstance(policy, PinnedKey):
        assert found == policy
    else:
        assert isinstance(found, KnownHosts | TrustOnFirstUse)
        assert found.path == tmp_path / policy


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("<password-file>absent</password-file>", "absent cannot be read"),
        ("<password-file>empty</password-file>", "is empty"),
        ("<private-key-file>secret</private-key-file>", "private-key-file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, secret: str, says: str) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="device\\[device-id='bras-a'\\]") as refused:
        read(
            tmp_path,
            device("bras-a", "<address>192.0.2.1</address>", f"<host-key>{KEY}</host-key>", secret=secret),
        )
    assert says in str(refused.value)


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="host-key"):
        read(
            tmp_path,
            device("a", "<address>192.0.2.1</address>", "<host-key>ssh-ed25519 AAAA</host-key>"),
        )


def test_what_the_model_refuses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be reached"):
        read(tmp_path, device("a", f"<host-key>{KEY}</host-key>"))


def test_another_device_s_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no <cloud> container"):
        read_config(
            schema(),
            etree.fromstring('<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>'),
            tmp_path,
            tmp_path,
        )


HOME = "<call-home-listen><address>127.0.0.1</address></call-home-listen>"


def test_who_calls_home_is_known_by_a_key_of_its_own(tmp_path: Path) -> None:
    check_homes(read(tmp_path, device("a", "<call-home/>", f"<host-key>{KEY}</host-key>"), server=HOME))
    two = "".join(device(name, "<call-home/>", f"<host-key>{KEY} {name}</host-key>") for name in "ab")
    with pytest.raises(ConfigError, match=r"'b'.*a calls home with the same key"):
        check_homes(read(tmp_path, two, server=HOME))
    unpinned = device("a", "<call-home/>", "<trust-on-first-use-file>seen</trust-on-first-use-file>")
    with pytest.raises(ConfigError, match="give it host-key"):
        check_homes(read(tmp_path, unpinned, server=HOME))


TLS_HOME = (
    "<call-home-tls-listen><address>127.0.0.1</address><certificate-file>c.pem</certificate-file>"
    "<private-key-file>c.key</private-key-file><trust-file>trust.pem</trust-file><cert-to-name><id>1</id>"
    "<fingerprint>04:" + ":".join(["ab"] * 32) + "</fingerprint>"
    '<map-type xmlns:x="urn:ietf:params:xml:ns:yang:ietf-x509-cert-to-name">x:common-name</map-type>'
    "</cert-to-name></call-home-tls-listen>"
)
TLS_CALLER = "<device><device-id>a</device-id>{}<call-home-tls/></device>"


def test_who_calls_home_over_tls_is_known_by_the_rules_of_the_listener(tmp_path: Path) -> None:
    config = read(tmp_path, TLS_CALLER.format(""), server=TLS_HOME)
    check_homes(config)
    assert config.server.call_home_tls_listen == Endpoint("127.0.0.1", 4335)
    found = config.devices["a"]
    assert found.call_home
    assert isinstance(found.target, TlsTarget)
    assert (found.target.certificate, found.target.trust) == (tmp_path / "c.pem", tmp_path / "trust.pem")


@pytest.mark.parametrize(
    ("devices", "server", "reason"),
    [
        (TLS_CALLER.format(""), "", "does not listen"),
        (TLS_CALLER.format("<address>192.0.2.1</address>"), TLS_HOME, "neither dialled nor"),
        (TLS_CALLER.format("<driver>vendor</driver>"), TLS_HOME, "SSH only"),
        (device("a", "<driver>vendor</driver><call-home/>", f"<host-key>{KEY}</host-key>"), HOME,
         "where it calls from"),
        (device("a", "<address>192.0.2.1</address><call-home/>", f"<host-key>{KEY}</host-key>"), HOME,
         "is not dialled"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_call_home_is_refused_by_the_model(
    tmp_path: Path, devices: str, server: str, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        read(tmp_path, devices, server=server)


def test_a_vendors_router_is_expected_from_its_address(tmp_path: Path) -> None:
    vendor = device(
        "a", "<address>192.0.2.1</address><driver>vendor</driver><call-home/>", f"<host-key>{KEY}</host-key>"
    )
    found = read(tmp_path, vendor, server=HOME).devices["a"]
    assert found.call_home
    assert found.target.host == "192.0.2.1"
