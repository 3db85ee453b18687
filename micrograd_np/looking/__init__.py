"""Looking: what a model is made of, what it recorded, where it went wrong, what it draws."""
