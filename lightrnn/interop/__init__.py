"""Convert models from and to other frameworks and file formats."""
