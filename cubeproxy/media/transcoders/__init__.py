"""Transcoders: one interface (`words.Transcoder`), members of it (`lti`, `sccp`), and the pool in front (`pool`)."""
