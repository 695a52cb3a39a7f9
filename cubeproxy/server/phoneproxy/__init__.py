"""What phones fetch before they speak SIP: files by TFTP and HTTP, and relays to CAPF and other services."""
