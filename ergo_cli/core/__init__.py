"""Common basis of all packages: values, time, JSON, documents, versions. Pure: no I/O, no clock."""
