"""An asyncio NETCONF client: one small session interface over interchangeable drivers."""
