"""The pure core, shared by both ends: no sockets, clocks, threads or global randomness."""
