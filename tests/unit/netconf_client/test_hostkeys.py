from pathlib import Path

import asyncssh
import pytest

from netconf_client.errors import HostKeyRejected
from netconf_client.hostkeys import (
    ALGORITHMS,
    HostKeyVerifier,
    KnownHosts,
    PinnedKey,
    TrustOnFirstUse,
    known_hosts_name,
    public_line,
)

ED = asyncssh.generate_private_key("ssh-ed25519", comment="a comment").convert_to_public()
OTHER = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
EC = asyncssh.generate_private_key("ecdsa-sha2-nistp256").convert_to_public()
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048).convert_to_public()


def verifier(policy: PinnedKey | KnownHosts | TrustOnFirstUse, port: int = 830) -> HostKeyVerifier:
    return HostKeyVerifier(policy, "bras-a", port)


@pytest.mark.parametrize(
    ("key", "first"),
    [(ED, "ssh-ed25519"), (EC, "ecdsa-sha2-nistp256"), (RSA, "rsa-sha2-512")],
)
def test_the_trusted_kind_is_preferred_and_the_others_are_offered_too(
    key: asyncssh.SSHKey, first: str
) -> None:
    algorithms = verifier(PinnedKey(public_line(key))).algorithms
    assert algorithms[0] == first
    assert sorted(algorithms) == sorted(ALGORITHMS)


@pytest.mark.parametrize("port", [22, 830])
def test_names_are_those_of_known_hosts(tmp_path: Path, port: int) -> None:
    file = tmp_path / "hosts"
    name = known_hosts_name("bras-a", port)
    assert name == ("bras-a" if port == 22 else "[bras-a]:830")
    file.write_text(f"{name} {public_line(ED)}\n")
    verifier(KnownHosts(file), port).check(ED)


def test_a_name_without_port_holds_for_any_port(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(f"bras-a {public_line(ED)}\n")
    verifier(KnownHosts(tmp_path / "hosts")).check(ED)


def test_each_of_several_keys_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("".join(f"[bras-a]:830 {public_line(key)}\n" for key in (ED, RSA)))
    found = verifier(KnownHosts(tmp_path / "hosts"))
    found.check(ED)
    found.check(RSA)
    with pytest.raises(HostKeyRejected, match="has changed"):
        found.check(EC)


def test_a_revoked_key_is_refused_though_it_is_listed(tmp_path: Path) -> None:
    lines = f"[bras-a]:830 {public_line(ED)}\n@revoked [bras-a]:830 {public_line(ED)}\n"
    for policy in (KnownHosts(tmp_path / "hosts"), TrustOnFirstUse(tmp_path / "hosts")):
        policy.path.write_text(lines)
        with pytest.raises(HostKeyRejected, match="is revoked"):
            verifier(policy).check(ED)


def test_a_known_hosts_file_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("")
    with pytest.raises(HostKeyRejected, match="is not in"):
        verifier(KnownHosts(tmp_path / "hosts")).check(ED)
    assert (tmp_path / "hosts").read_text() == ""


class TestTrustOnFirstUse:
    def test_hosts_share_a_file(self, tmp_path: Path) -> None:
        policy = TrustOnFirstUse(tmp_path / "hosts")
        for number, key in enumerate((ED, OTHER, RSA)):
            HostKeyVerifier(policy, f"bras-{number}", 830).check(key)
        HostKeyVerifier(policy, "bras-1", 830).check(OTHER)
        with pytest.raises(HostKeyRejected):
            HostKeyVerifier(policy, "bras-1", 830).check(ED)

    def test_two_first_connections_at_once_do_not_trust_two_keys(self, tmp_path: Path) -> None:
        policy = TrustOnFirstUse(tmp_path / "hosts")
        one, two, three = (verifier(policy) for _ in range(3))
        one.check(ED)
        two.check(ED)
        with pytest.raises(HostKeyRejected, match="has changed"):
            three.check(OTHER)
        assert len((tmp_path / "hosts").read_text().splitlines()) == 1

    def test_a_line_without_line_feed_before_is_not_spoilt(self, tmp_path: Path) -> None:
        file = tmp_path / "hosts"
        file.write_text(f"[bras-b]:830 {public_line(OTHER)}")
        verifier(TrustOnFirstUse(file)).check(ED)
        HostKeyVerifier(KnownHosts(file), "bras-b", 830).check(OTHER)
        verifier(KnownHosts(file)).check(ED)

    def test_a_file_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        policy = TrustOnFirstUse(tmp_path / "file" / "hosts")
        with pytest.raises(HostKeyRejected, match=str(policy.path)):
            verifier(policy).check(ED)


def test_a_file_that_is_no_known_hosts_is_named(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("[bras-a]:830 rubbish\n\x00")
    with pytest.raises(HostKeyRejected, match=str(tmp_path / "hosts")):
        verifier(KnownHosts(tmp_path / "hosts")).check(ED)
