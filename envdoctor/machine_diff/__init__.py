"""What differs between two machines, and which of the differences matter."""
