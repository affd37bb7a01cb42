"""The first contact with a GPU: what a CPU cannot tell about the instrument, measured in three blocks. See README.md."""
