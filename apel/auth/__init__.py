"""Who may send, and for which sites: the lists that are made of what GOCDB knows, and reading them."""
