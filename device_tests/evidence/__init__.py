"""What a release manager brings: a gallery and photos that no bundle can have been made to fit."""
