"""What is kept: the bundle, its texts, its streaming writer, its lazy reader, the capturing session."""
