"""The authoritative responder: tables compiled ahead (pure), one pure function that answers from them, and sockets."""
