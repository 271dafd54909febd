"""Floor 0: what every room stands on - errors, words, catalogs, schemas, seeds, devices and run records."""
