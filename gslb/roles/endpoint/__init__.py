"""Node endpoints: how role processes are asked, over a unix socket or mTLS."""
