"""How the cells of a grid are carried out."""
