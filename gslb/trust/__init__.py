"""Who is believed: signatures on what control publishes, and seals around what only control may read."""
