"""Read what the user passes, check it once, and encode it for the network."""
