"""How files, certificates and answers about certificates travel between phones and a cluster: both ends of each way."""
