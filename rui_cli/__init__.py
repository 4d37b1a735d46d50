"""The rui command: the only room that may import both router and manager."""
