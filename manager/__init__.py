"""The cloud device: device sessions, store, delivery to secondaries, northbound server."""
