"""Child processes that speak in lines: how they are started, heard, told and ended (spec 30 §15.4)."""
