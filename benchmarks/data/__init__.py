"""Images to train on: bundled (README.md here has licences and digests), in installed packages, and in the user's folders."""
