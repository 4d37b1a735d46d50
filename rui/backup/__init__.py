"""Subscriber backup: versions, the user-info record, the journal and the procedures of FIG. 4 and 5."""
