"""The store in LanceDB: a table a space, and one that says which space is served."""
