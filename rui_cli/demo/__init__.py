"""`rui demo`: the whole product on one machine, with a crash in the middle and a proof at the end."""
