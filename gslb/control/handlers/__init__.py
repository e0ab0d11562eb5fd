"""What each line of the HTTP API's table does."""
