"""A method, a dataset and a network for the suite, in a package of their own."""
