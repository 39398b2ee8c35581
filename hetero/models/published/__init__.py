"""Published networks by name, with the preprocessing that their library states, from weights that lie here."""
