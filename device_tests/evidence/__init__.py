"""Evidence of a release manager: a gallery and photos that no bundle can have been made to fit."""
