"""What goes in and out over the HTTP API. No rule of the product here."""
