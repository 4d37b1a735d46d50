"""Bidirectional forwarding detection (RFC 5880), asynchronous mode: packets, one session, many told apart."""
