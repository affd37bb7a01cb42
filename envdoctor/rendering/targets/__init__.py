"""One module a recipe, each with `render(stack, options) -> files`. catalogue.py lists them."""
