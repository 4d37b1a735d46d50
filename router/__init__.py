"""One simulated or emulated broadband router."""
