"""DHCPv4 relay that acts as a proxy: it learns who is online from the packets that pass through it."""
