"""The Internet checksum, for every protocol that has one."""


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\x00"
    # 2**16 is 1 modulo 0xFFFF, so the ones' complement sum is the whole number's remainder
    total = int.from_bytes(data, "big")
    folded = total % 0xFFFF
    if total and not folded:
        folded = 0xFFFF
    return ~folded & 0xFFFF
