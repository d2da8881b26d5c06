"""Read the user's X, y and weights, check them once, and encode them for the network."""
