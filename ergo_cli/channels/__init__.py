"""Child processes that exchange JSON frames with the host: drivers send events, egress channels take intents."""
