"""Optional tools for users of the library: no run of a program imports them."""
