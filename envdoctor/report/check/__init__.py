"""What was found on a machine, in a text or in a file, in each output format."""
