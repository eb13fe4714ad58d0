"""The report as one HTML file: plain HTML that needs no script, and a script that makes it easier to search."""
