"""An asyncio NETCONF server for any YANG model; it knows no subscriber."""
