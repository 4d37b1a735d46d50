"""A DHCPv4 relay that acts as a proxy, sans IO: packets and times in, packets and facts about users out.

Relaying follows RFC 1542 section 4.1 and RFC 2131, option 82 RFC 3046. Renewals and releases are unicast to
whatever the client takes for its server, so the client is told that this is the relay: the servers are asked
to say so themselves (RFC 5107), and where one does not, its identifier is rewritten both ways.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address

from router.dhcp.expiry import ExpiryBuckets
from router.dhcp.lease import read_lease
from router.dhcp.option82 import compose
from router.dhcp.packet import (
    BOOTREPLY,
    BOOTREQUEST,
    BROADCAST_FLAG,
    ETHERNET,
    Code,
    DhcpPacket,
    DhcpParseError,
    MessageType,
    parse,
)
from router.dhcp.transactions import Transaction, Transactions
from router.dhcp.values import (
    ClientSource,
    DownstreamPolicy,
    Dropped,
    LeaseTable,
    Output,
    RelayConfig,
    Reply,
    SendToClient,
    SendToRelay,
    SendToServer,
    SubscriberOffline,
    SubscriberOnline,
    SubscriberRenewed,
    subscriber_key,
)

_FROM_CLIENTS = frozenset(
    {
        MessageType.DISCOVER,
        MessageType.REQUEST,
        MessageType.DECLINE,
        MessageType.RELEASE,
        MessageType.INFORM,
    }
)
_FROM_SERVERS = frozenset({MessageType.OFFER, MessageType.ACK, MessageType.NAK})
_ENDS_A_LEASE = {MessageType.RELEASE: "released", MessageType.DECLINE: "declined"}
_EXPIRIES_A_TURN = 1000


class _RefusedError(Exception):
    """A packet that the relay lets go no further."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Relay:
    """One group's relay.

    Only the router that is primary feeds it and calls ``handle_timer``, so only the primary expires leases.
    ``messages`` counts what passed, ``drops`` what did not.
    """

    def __init__(self, config: RelayConfig, table: LeaseTable) -> None:
        self.config = config
        self.messages: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self._table = table
        self._giaddr = int(config.giaddr)
        self._identity = int(config.identity)
        self._servers = {str(server): server for server in config.servers}
        # What each server calls itself: as we do where it heeds the override, as its answers show. Before
        # the first answer (a release may come right after a restart) its address is the best guess.
        self._identifiers = {server: server.packed for server in config.servers}
        self._transactions = Transactions(config.transaction_limit, config.transaction_timeout)
        self._expiry = ExpiryBuckets()
        self._hold_expiry_until = -math.inf
        self._pools = [(int(p.network.network_address), int(p.network.netmask), p.name) for p in config.pools]

    @property
    def pending(self) -> int:
        """How many transactions are open."""
        return len(self._transactions)

    def adopt(self, leases: Iterable[tuple[bytes, float]], hold_expiry_until: float = -math.inf) -> None:
        """Take over the users of a table: (key, expiry in monotonic seconds).

        Called at every start as primary. A router that was not primary before expires nobody until
        ``hold_expiry_until``: renewals may have gone to the old primary until just now.
        """
        self._expiry = ExpiryBuckets()
        for key, expiry in leases:
            self._expiry.add(key, expiry)
        self._hold_expiry_until = hold_expiry_until

    # -- time

    def next_deadline(self) -> float | None:
        """Return when ``handle_timer`` has something to do, None for never."""
        deadlines = [self._transactions.next_deadline()]
        second = self._expiry.next_second()
        if second is not None:
            deadlines.append(max(float(second), self._hold_expiry_until))
        return min((at for at in deadlines if at is not None), default=None)

    def handle_timer(self, now: float) -> list[Output]:
        """Give up old transactions and expire leases, at most a thousand a turn."""
        timed_out = self._transactions.expire(now)
        if timed_out:
            self.drops["transaction-timeout"] += timed_out
        if now < self._hold_expiry_until:
            return []
        expired = self._expiry.take_due(now, self._expiry_of, _EXPIRIES_A_TURN)
        return [SubscriberOffline(key, "expired") for key in expired]

    def _expiry_of(self, key: bytes) -> float | None:
        held = self._table.lease(key)
        return None if held is None else held.expiry

    # -- from the clients

    def receive_client(self, data: bytes, source: ClientSource, now: float) -> list[Output]:
        """Take a packet from a client (or from a relay downstream). Never raises for what is in it."""
        try:
            return self._from_client(parse(data), source, now)
        except DhcpParseError as error:
            return [self._drop("malformed", f"from the access side: {error}")]
        except _RefusedError as refused:
            return [self._drop(refused.reason, refused.detail)]

    def _from_client(self, packet: DhcpPacket, source: ClientSource, now: float) -> list[Output]:
        kind = packet.message_type()
        if packet.op != BOOTREQUEST or kind not in _FROM_CLIENTS:
            raise _RefusedError("not-a-client-message", f"op {packet.op}, message type {kind}")
        self.messages[f"client-{MessageType(kind).name.lower()}"] += 1
        self._check_path(packet, source)
        packet.hops += 1
        if packet.giaddr and self.config.downstream is DownstreamPolicy.FORWARD:
            payload = packet.build()
            return [SendToServer(payload, server) for server in self.config.servers]
        return self._proxy_request(packet, MessageType(kind), source, now)

    def _check_path(self, packet: DhcpPacket, source: ClientSource) -> None:
        if packet.htype != ETHERNET or len(packet.chaddr) != 6:
            raise _RefusedError("not-ethernet", f"hardware type {packet.htype}, {len(packet.chaddr)} octets")
        if packet.hops >= self.config.hops_limit:
            raise _RefusedError("too-many-hops", f"{packet.hops} of {self.config.hops_limit}")
        if packet.giaddr == self._giaddr:
            raise _RefusedError("giaddr-spoofed", f"it claims to have passed {self.config.giaddr} already")
        if packet.giaddr:
            if self.config.downstream is DownstreamPolicy.DROP:
                raise _RefusedError("downstream-relay-refused", f"giaddr {IPv4Address(packet.giaddr)}")
        elif packet.get(Code.AGENT_INFORMATION) is not None and not source.port.trusted:
            raise _RefusedError("option-82-untrusted", f"port {source.port.interface}")

    def _proxy_request(
        self, packet: DhcpPacket, kind: MessageType, source: ClientSource, now: float
    ) -> list[Output]:
        mac = packet.chaddr.hex(":")
        key = subscriber_key(mac, source.port.outer_vlan, source.port.inner_vlan)
        requested = packet.ciaddr or packet.number(Code.REQUESTED_ADDRESS, 4) or 0
        identifier = packet.number(Code.SERVER_IDENTIFIER, 4)
        held = self._table.lease(key)
        if kind is MessageType.RELEASE and held is not None and int(held.ipv4) != requested:
            raise _RefusedError("release-of-another-address", f"{mac} has {held.ipv4}")
        earlier = self._transactions.get((packet.xid, packet.chaddr))
        offers = earlier.offers if earlier is not None else ()
        server: IPv4Address | None = None
        if kind in _ENDS_A_LEASE or (kind is MessageType.REQUEST and packet.ciaddr and source.unicast):
            server = held.server if held is not None else None
        elif kind is MessageType.REQUEST and identifier == self._identity:
            # All offers bore our identifier: only the address says which one the client took
            server = next((by for address, by in offers if address == requested), None)
        targets = self.config.servers if server is None or server not in self.config.servers else (server,)
        client_option_82 = packet.get(Code.AGENT_INFORMATION)
        downstream = packet.giaddr
        option_82 = compose(self.config, source.port, mac, client_option_82, downstream)
        if len(option_82) > 255:
            raise _RefusedError("option-82-too-long", f"{mac}: {len(option_82)} octets")
        packet.giaddr = self._giaddr
        packet.put(Code.AGENT_INFORMATION, option_82)
        outputs: list[Output] = [
            SendToServer(self._payload_for(packet, target, identifier), target) for target in targets
        ]
        if kind in _ENDS_A_LEASE:
            if held is not None and int(held.ipv4) == requested:
                outputs.append(SubscriberOffline(key, _ENDS_A_LEASE[kind]))
            return outputs
        transaction = Transaction(
            source=source,
            message_type=kind,
            ciaddr=packet.ciaddr,
            requested=requested,
            broadcast=bool(packet.flags & BROADCAST_FLAG),
            downstream=downstream,
            client_id=(packet.get(Code.CLIENT_IDENTIFIER) or b"")[:255],
            client_option_82=client_option_82,
            option_82=option_82,
            asked=len(outputs),
            since=now,
            offers=offers,
        )
        if self._transactions.put((packet.xid, packet.chaddr), transaction):
            self.drops["transaction-table-full"] += 1
        return outputs

    def _payload_for(self, packet: DhcpPacket, server: IPv4Address, identifier: int | None) -> bytes:
        if identifier == self._identity:
            packet.put(Code.SERVER_IDENTIFIER, self._identifiers[server])
            # Option 82 stays the last one (RFC 3046 section 2.1)
            packet.put(Code.AGENT_INFORMATION, packet.get(Code.AGENT_INFORMATION) or b"")
        payload = packet.build()
        if len(payload) > self.config.packet_limit:
            # RFC 3046 section 2.1: without room for option 82 the packet goes on without it
            self.messages["option-82-left-out"] += 1
            packet.remove(Code.AGENT_INFORMATION)
            payload = packet.build()
        return payload

    # -- from the servers

    def receive_server(self, data: bytes, source: tuple[str, int], now: float) -> list[Output]:
        """Take a packet from a server. Never raises for what is in it."""
        try:
            server = self._servers.get(source[0])
            if server is None:
                raise _RefusedError("unknown-server", source[0])
            return self._from_server(parse(data), server, now)
        except DhcpParseError as error:
            return [self._drop("malformed", f"from server {source[0]}: {error}")]
        except _RefusedError as refused:
            return [self._drop(refused.reason, refused.detail)]

    def _from_server(self, packet: DhcpPacket, server: IPv4Address, now: float) -> list[Output]:
        kind = packet.message_type()
        if packet.op != BOOTREPLY or kind not in _FROM_SERVERS:
            raise _RefusedError("not-a-server-message", f"op {packet.op}, message type {kind} from {server}")
        self.messages[f"server-{MessageType(kind).name.lower()}"] += 1
        if packet.giaddr != self._giaddr:
            raise _RefusedError("not-for-this-relay", f"giaddr {IPv4Address(packet.giaddr)}")
        transaction = self._transactions.get((packet.xid, packet.chaddr))
        if transaction is None:
            raise _RefusedError("no-transaction", f"{packet.chaddr.hex(':')} from {server}")
        echoed = packet.get(Code.AGENT_INFORMATION)
        if echoed is not None and echoed != transaction.option_82:
            raise _RefusedError("option-82-not-ours", f"{packet.chaddr.hex(':')} from {server}")
        if kind == MessageType.OFFER:
            transaction.offers = (*transaction.offers[-7:], (packet.yiaddr, server))
            return [self._reply(packet, transaction, server)]
        if kind == MessageType.NAK:
            return self._refused(packet, transaction, server)
        return self._acknowledged(packet, transaction, server, now)

    def _refused(self, packet: DhcpPacket, transaction: Transaction, server: IPv4Address) -> list[Output]:
        transaction.refused += 1
        if transaction.refused < transaction.asked:
            # A server that does not hold the lease may say NAK where the one that does says ACK
            raise _RefusedError("nak-while-others-may-ack", f"{packet.chaddr.hex(':')} from {server}")
        self._transactions.close((packet.xid, packet.chaddr))
        key = self._key(packet, transaction)
        outputs: list[Output] = [self._reply(packet, transaction, server)]
        held = self._table.lease(key)
        if held is not None and int(held.ipv4) == transaction.requested:
            outputs.append(SubscriberOffline(key, "refused"))
        return outputs

    def _acknowledged(
        self, packet: DhcpPacket, transaction: Transaction, server: IPv4Address, now: float
    ) -> list[Output]:
        if transaction.message_type == MessageType.INFORM:
            self._transactions.close((packet.xid, packet.chaddr))
            return [self._reply(packet, transaction, server)]
        if not packet.number(Code.LEASE_TIME, 4) or not packet.yiaddr:
            raise _RefusedError("ack-without-lease", f"{packet.chaddr.hex(':')} from {server}")
        self._transactions.close((packet.xid, packet.chaddr))
        key = self._key(packet, transaction)
        facts = read_lease(packet, transaction, server, self._pool_of(packet.yiaddr), now)
        reply = self._reply(packet, transaction, server)
        held = self._table.lease(key)
        if held is not None and held.ipv4 == facts.ipv4:
            if math.isinf(held.expiry):
                self._expiry.add(key, facts.expiry)
            return [SubscriberRenewed(key, facts, reply)]
        self._expiry.rebuild_if_bloated(len(self._table), self._expiry_of)
        self._expiry.add(key, facts.expiry)
        return [SubscriberOnline(key, facts, reply)]

    def _reply(self, packet: DhcpPacket, transaction: Transaction, server: IPv4Address) -> Reply:
        """Make the answer fit for the client: our identifier, and option 82 as the client's side left it."""
        identifier = packet.get(Code.SERVER_IDENTIFIER)
        if identifier is not None:
            self._identifiers[server] = identifier
            packet.put(Code.SERVER_IDENTIFIER, self.config.identity.packed)
        packet.remove(Code.AGENT_INFORMATION)
        if transaction.downstream:
            if transaction.client_option_82 is not None:
                packet.put(Code.AGENT_INFORMATION, transaction.client_option_82)
            packet.giaddr = transaction.downstream
            return SendToRelay(packet.build(), transaction.source, IPv4Address(transaction.downstream))
        address = transaction.ciaddr or packet.yiaddr
        refused = packet.message_type() == MessageType.NAK
        return SendToClient(
            payload=packet.build(),
            source=transaction.source,
            mac=packet.chaddr,
            ip=IPv4Address(address),
            broadcast=refused or not address or (transaction.broadcast and not transaction.ciaddr),
        )

    def _pool_of(self, address: int) -> str:
        return next((name for base, mask, name in self._pools if address & mask == base), "")

    def _key(self, packet: DhcpPacket, transaction: Transaction) -> bytes:
        port = transaction.source.port
        return subscriber_key(packet.chaddr.hex(":"), port.outer_vlan, port.inner_vlan)

    def _drop(self, reason: str, detail: str) -> Dropped:
        self.drops[reason] += 1
        return Dropped(reason, detail)
