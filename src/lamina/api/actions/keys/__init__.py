"""Extensions: encryption keys, with the names and fields of the vendor's key service (KMS, 2016-01-20)."""
