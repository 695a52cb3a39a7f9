"""What a virtual cluster hands to phones besides calls: files, trust lists, certificates, and its word on others."""
