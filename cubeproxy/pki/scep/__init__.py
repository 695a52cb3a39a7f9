"""Enrolment with a company's authority by SCEP (RFC 8894), in the dialect of NDES: both ends, and no sockets."""
