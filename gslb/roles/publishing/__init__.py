"""How a change comes into force: read, signed, kept, handed to every node, in waves."""
