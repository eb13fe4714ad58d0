"""Tools around runs: validate files, draw graphs, inspect and convert fixtures, make a project."""
