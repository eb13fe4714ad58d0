"""The project that ``ergo init`` makes: its files below ``template/``, its name, its place (spec 30 §26)."""
