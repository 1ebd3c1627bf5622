"""The pool of worker processes as a node sees it: take one, use it, stop it for certain."""
