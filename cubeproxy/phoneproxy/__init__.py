"""What phones are handed: which file for whom, the trust list (`ctl`), and their configuration (`rewrite`)."""
