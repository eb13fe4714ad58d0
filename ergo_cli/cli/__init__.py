"""The face: the command line, one thin module per command."""
