"""The HTTP API: its table, who may ask what, how often; the client that the command line uses."""
