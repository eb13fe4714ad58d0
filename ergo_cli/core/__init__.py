"""The ground every room stands on: values, time, JSON, hashes, documents. Pure: no I/O, no clock."""
