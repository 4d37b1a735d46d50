"""Where a group's users come from while this router is its primary."""
