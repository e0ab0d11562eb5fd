"""DNSSEC keys: their life as a table, what an Intent holds of them, what people see of them."""
