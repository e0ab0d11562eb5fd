"""Who a process is: certificates, joining, secrets that rest in files."""
