"""The rules: each file judges one aspect of what a file describes, and names the diagnosis that it would end in."""
