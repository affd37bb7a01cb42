"""Plans the newest stack that really works on a machine, or says in a few steps why there is none."""
