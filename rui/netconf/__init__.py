"""NETCONF without I/O: framing, messages, errors and the session of either role (RFC 6241, 6242, 5277)."""
