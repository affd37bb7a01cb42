"""Plans and answers about versions, in words and as data."""
