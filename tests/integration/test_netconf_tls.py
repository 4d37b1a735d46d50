"""NETCONF over TLS (RFC 7589): our server and our client, and what either refuses."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from lxml import etree

from netconf_client import ConnectFailed, HostKeyRejected, connect_tls
from netconf_server import Limits, TlsError, TlsOptions
from netconf_server.tlscontext import server_context
from rui.backup.identity import Role
from rui.netconf import names
from tests.certificates import identity, revocations
from tests.integration.manager_rig import FakeRouter, eventually, managed, routers_of, startup
from tests.integration.netconf_server_rig import BASE_10_HELLO, TOY, USER, Rig, serving, toy
from tests.integration.tls_rig import (
    LOOPBACK,
    WITHIN,
    Certificates,
    certificates,
    configured,
    refused,
    session_of,
)

CLOUD = "urn:rui-cloud:yang:cloud"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def over_tls(
    folder: Path, known: Certificates, options: TlsOptions | None = None, limits: Limits | None = None
) -> AsyncIterator[tuple[Rig, int]]:
    async with serving(folder, limits=limits) as rig:
        yield rig, await rig.server.listen_tls("127.0.0.1", 0, options or known.options)


async def test_a_session_over_tls_does_what_one_over_ssh_does(tmp_path: Path, known: Certificates) -> None:
    async with over_tls(tmp_path, known) as (rig, port):
        async with session_of(known.target(port)) as session:
            (info,) = rig.server.sessions.values()
            assert (info.user, info.transport) == (USER, "netconf-tls")
            edit = etree.fromstring(f'<system xmlns="{TOY}"><name>a</name></system>')
            await session.edit_config(edit)
            await session.commit()
            replies = await asyncio.gather(*(session.get_config() for _ in range(100)))
            assert {reply.data.findtext(f"{toy('system')}/{toy('name')}") for reply in replies} == {"a"}
            rig.parts.parts, rig.parts.note = 2000, "x" * 2000
            whole = await session.get(etree.fromstring(f'<inventory xmlns="{TOY}"/>'))
            assert len(whole.data.findall(f".//{toy('part')}")) == 4000
        assert not rig.server.sessions


async def test_who_has_no_name_or_no_account_is_refused(tmp_path: Path, known: Certificates) -> None:
    by_alternative = known.made("somebody", x509.DNSName(USER))
    nobody = known.made("nobody")
    stranger = identity(known.folder, "stranger")
    late = known.made("late", x509.DNSName(USER), days=-1)
    async with over_tls(tmp_path, known) as (rig, port):
        async with session_of(known.target(port, by_alternative)):
            pass
        for who in (nobody, stranger, late):
            await refused(known.target(port, who))
        # nor without any certificate
        context = ssl.create_default_context(cafile=str(known.authority.certificate_file))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        seen = b""
        # with TLS 1.3 the alert comes with the first read, where the end does not come before it
        with suppress(ssl.SSLError):
            seen = await asyncio.wait_for(reader.read(), WITHIN)
        assert seen == b""
        writer.close()
        assert not rig.server.sessions


async def test_a_clients_own_certificate_may_be_trusted_and_is_taken_back_by_revocation(
    tmp_path: Path, known: Certificates
) -> None:
    pinned = identity(known.folder, "pinned", x509.DNSName(USER))
    revoked = known.made("revoked", x509.DNSName(USER))
    trust = tmp_path / "trust.pem"
    trust.write_text(known.authority.pem + pinned.pem)
    async with over_tls(tmp_path, known, replace(known.options, trust=trust)) as (rig, port):
        for who in (pinned, revoked):
            async with session_of(known.target(port, who)):
                pass
        lists = tmp_path / "lists.pem"
        lists.write_text(known.authority.pem + revocations(known.authority, revoked))
        options = replace(known.options, trust=lists, check_revocation=True)
        strict = await rig.server.listen_tls("127.0.0.1", 0, options)
        async with session_of(known.target(strict)):
            pass
        await refused(known.target(strict, revoked))


async def test_the_client_takes_no_other_server(tmp_path: Path, known: Certificates) -> None:
    elsewhere = known.made("elsewhere", x509.DNSName("elsewhere.example"))
    stranger = identity(known.folder, "impostor", LOOPBACK)
    for other in (elsewhere, stranger):
        options = replace(known.options, certificate=other.certificate_file, private_key=other.key_file)
        folder = tmp_path / other.certificate_file.stem
        folder.mkdir()
        async with over_tls(folder, known, options) as (_, port):
            with pytest.raises(HostKeyRejected):
                await connect_tls(known.target(port), timeout=WITHIN)
            if other is elsewhere:
                async with session_of(replace(known.target(port), server_name="elsewhere.example")):
                    pass


async def test_old_versions_and_too_many_failures_are_turned_away(
    tmp_path: Path, known: Certificates
) -> None:
    stranger = identity(known.folder, "guesser")
    async with over_tls(tmp_path, known, limits=Limits(failed_logins=2, login_timeout=0.5)) as (rig, port):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("AES128-SHA256")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)
        await refused(known.target(port, stranger))
        await refused(known.target(port))
        assert not rig.server.sessions


async def test_a_connection_that_says_nothing_is_let_go(tmp_path: Path, known: Certificates) -> None:
    async with over_tls(tmp_path, known, limits=Limits(login_timeout=0.2)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(WITHIN):
            assert await reader.read() == b""
        writer.close()


async def test_the_client_gives_a_server_up_that_says_nothing_or_hangs_up(known: Certificates) -> None:
    context = server_context(known.options)
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()
        ended.set()

    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    for behaviour, reason in ((silent, "Timeout|timed out"), (rude, None)):
        server = await asyncio.start_server(behaviour, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match=reason):
            await connect_tls(known.target(port), timeout=0.5)
        server.close()
    await asyncio.wait_for(ended.wait(), WITHIN)


async def test_a_server_calls_home_over_tls(tmp_path: Path, known: Certificates) -> None:
    async with serving(tmp_path) as rig:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            port = listening.getsockname()[1]
            calling = loop.create_task(rig.server.call_home_tls("127.0.0.1", port, known.options))
            sock, _ = await loop.sock_accept(listening)
            session = await connect_tls(known.target(port), sock=sock, timeout=WITHIN)
            assert (await session.get_config()).data.tag == names.DATA
            await session.close()
            async with asyncio.timeout(WITHIN):
                await calling


async def test_the_manager_dials_a_router_over_tls(tmp_path: Path, known: Certificates) -> None:
    cloud = known.made("cloud")
    async with routers_of(tmp_path, ("bras-a", {"g1": Role.PRIMARY})) as (router,):
        port = await router.server.listen_tls("127.0.0.1", 0, known.options)
        text = startup([router])
        by_ssh = text[text.index("<username>") : text.index("</host-key>") + len("</host-key>")]
        by_tls = (
            f"<tls><certificate-file>{cloud.certificate_file}</certificate-file>"
            f"<private-key-file>{cloud.key_file}</private-key-file>"
            f"<trust-file>{known.authority.certificate_file}</trust-file></tls>"
        )
        text = text.replace(by_ssh, by_tls).replace(f"<port>{router.port}</port>", f"<port>{port}</port>")
        async with managed(tmp_path, text):
            router.login(1, 2)
            await eventually(lambda: bool(router.group().receipts), "an upload is acknowledged")
            (info,) = router.server.sessions.values()
            assert (info.user, info.transport) == ("cloud", "netconf-tls")


async def test_routers_call_the_manager_home_over_tls(tmp_path: Path, known: Certificates) -> None:
    cloud = known.made("cloud")
    listen = (
        etree.tostring(configured(known, tmp_path, CLOUD, 0)).decode().replace("tls", "call-home-tls-listen")
    )
    (tmp_path / "server.pem").write_bytes(cloud.certificate_file.read_bytes())
    (tmp_path / "server.key").write_bytes(cloud.key_file.read_bytes())
    async with routers_of(
        tmp_path, ("bras-a", {"g1": Role.PRIMARY}), ("bras-b", {"g1": Role.SECONDARY}), listen=False
    ) as (a, b):
        a.login(*range(10))
        text = re.sub(r"<call-home/>.*?</host-key>", "<call-home-tls/>", startup([a, b], server=listen))
        async with asyncio.TaskGroup() as calls, managed(tmp_path, text) as manager:
            host, port = manager.facts["call-home-tls"]

            async def call(router: FakeRouter, name: str) -> None:
                shown = known.made(name)
                options = replace(
                    known.options, certificate=shown.certificate_file, private_key=shown.key_file
                )
                with suppress(TlsError, OSError):
                    await router.server.call_home_tls(host, port, options)

            # Who is no device that is to call, and who no authority here vouches for, is not taken.
            await call(a, "stranger")
            calls.create_task(call(a, "bras-a"))
            calls.create_task(call(b, "bras-b"))
            await eventually(lambda: b.digest() == a.digest(), "the secondary holds what the primary has")
            assert {info.transport for info in a.server.sessions.values()} == {"netconf-tls"}
            assert await manager.digest() == a.digest()


def test_the_command_serves_its_user_over_tls(tmp_path: Path, known: Certificates) -> None:
    yang = Path(__file__).parents[1] / "data" / "yang"
    command = [
        sys.executable, "-m", "netconf_server", f"--yang={yang}", "--module=toy", "--listen=127.0.0.1:0",
        "--user=ada", "--tls-listen=127.0.0.1:0", f"--tls-certificate={known.server.certificate_file}",
        f"--tls-key={known.server.key_file}", f"--tls-trust={known.authority.certificate_file}",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as serving_process:
        try:
            assert serving_process.stdout is not None
            lines = [serving_process.stdout.readline() for _ in range(2)]
            found = re.fullmatch(r"netconf over tls on 127\.0\.0\.1:(\d+)\n", lines[1])
            assert found, lines
            # a client of another project: OpenSSL's own
            openssl = subprocess.run(
                [
                    "openssl", "s_client", "-quiet", "-verify_return_error",
                    "-connect", f"127.0.0.1:{found[1]}",
                    "-cert", known.admin.certificate_file, "-key", known.admin.key_file,
                    "-CAfile", known.authority.certificate_file,
                ],
                input=f'{BASE_10_HELLO}<rpc message-id="1" xmlns="{names.BASE}"><close-session/></rpc>]]>]]>',
                capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            assert "<session-id>1</session-id>" in openssl.stdout
            assert "<ok" in openssl.stdout
        finally:
            serving_process.terminate()


async def test_files_that_cannot_be_used_are_named(tmp_path: Path, known: Certificates) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    async with serving(tmp_path) as rig:
        for options in (
            replace(known.options, trust=tmp_path / "none.pem"),
            replace(known.options, private_key=known.admin.key_file),
            replace(known.options, trust=wrong),
        ):
            with pytest.raises(TlsError, match=r"\.pem|\.key"):
                await rig.server.listen_tls("127.0.0.1", 0, options)
    with pytest.raises(ConnectFailed, match=r"wrong\.pem"):
        await connect_tls(replace(known.target(1), trust=wrong), timeout=WITHIN)
