"""Renders one resolved Stack in the forms that people use: scripts, environment files, images, playbooks."""
