"""The lab's certificates: profiles as data, an issuer that follows them, and the folder that a lab needs."""
