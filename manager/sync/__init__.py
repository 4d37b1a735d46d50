"""Configuration sync: one intended configuration for the members of a group, changed on all or on none."""
